"""Small real applications that the live tests serve: tests/live is the working directory, `applications.pages:application` the target."""
