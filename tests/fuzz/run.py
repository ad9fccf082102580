#!/usr/bin/env python3
"""Builds the reader with coverage counters and sanitizers, apart from the ordinary build, and fuzzes it.

    python tests/fuzz/run.py [--merge] [libFuzzer's options, such as -max_total_time=600] [inputs to try again]

Everything lies in .build/fuzz: the build, atheris (if the environment has none), the seeds made of tests/corpus, what was found. With
`--merge`, nothing is looked for: tests/fuzz/corpus becomes the fewest inputs that reach all that the kept, the found and the seeds reach.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
KEPT = HERE / "corpus"
BUILD = ROOT / ".build" / "fuzz"
SITE, SEEDS, FOUND = BUILD / "site", BUILD / "seeds", BUILD / "found"

LONGEST = 4096
"""Bytes of an input: what is longer is slow and reaches nothing more, since all that counts bytes is also tried with small limits."""
SANITIZERS = "address,undefined"
COMPILE = (
    f"-O2 -g -fno-omit-frame-pointer -fsanitize={SANITIZERS},fuzzer-no-link -fno-sanitize-recover=undefined"
)
LINK = "-fsanitize=address,fuzzer-no-link"


def build() -> None:
    """The reader's modules as pyproject.toml lists them, compiled by clang in a copy of the package."""
    if shutil.which("clang") is None:
        sys.exit(
            "run.py: no clang: `apt-get install clang libclang-rt-14-dev` (or the version that your system has)"
        )
    shutil.rmtree(SITE / "lasthop", ignore_errors=True)
    ordinary = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    shutil.copytree(ROOT / "src" / "lasthop", SITE / "lasthop", ignore=ordinary)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [module["name"] for module in project["tool"]["setuptools"]["ext-modules"]]
    sources = [name.replace(".", "/") + ".py" for name in names if name.startswith("lasthop.http1.")]
    environment = {
        **os.environ,
        "CC": "clang",
        "LDSHARED": "clang -shared",
        "CFLAGS": COMPILE,
        "LDFLAGS": LINK,
    }
    cythonize = [sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "--quiet", *sources]
    if subprocess.run(cythonize, cwd=SITE, env=environment, check=False).returncode:
        sys.exit("run.py: the reader could not be built")


def atheris_directory() -> Path:
    """Where atheris is, put into .build/fuzz if it is nowhere: it holds libFuzzer with the sanitizers' run-time."""
    if (SITE / "atheris").is_dir():
        return SITE
    spec = importlib.util.find_spec("atheris")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent.parent
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--target",
        str(SITE),
        "atheris",
    ]
    if subprocess.run(pip, check=False).returncode:
        sys.exit("run.py: atheris could not be installed (it has wheels for Python 3.11 to 3.13 on Linux)")
    return SITE


def seeds() -> None:
    """The corpus of requests as libFuzzer wants it: a file of bytes for each."""
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    from tests.http1.corpus import cases

    SEEDS.mkdir(parents=True, exist_ok=True)
    for case in cases():
        if len(case.sent) <= LONGEST:
            (SEEDS / case.name.replace("/", "--")).write_bytes(case.sent)


def fuzz(arguments: list[str | Path]) -> int:
    preload = atheris_directory() / "asan_with_fuzzer.so"
    environment = {
        **os.environ,
        "LD_PRELOAD": str(preload),
        "PYTHONPATH": str(SITE),
        "PYTHONMALLOC": "malloc",  # each allocation by itself, so that ASAN sees the edges of every bytes object
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=16:handle_abort=1:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }
    options = [
        f"-dict={HERE / 'http.dict'}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={BUILD}/",
        "-rss_limit_mb=2048",
    ]
    command = [sys.executable, str(HERE / "fuzz_reader.py"), *options, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def merge(arguments: list[str | Path]) -> int:
    merged = BUILD / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    code = fuzz([*arguments, "-set_cover_merge=1", merged, *(d for d in (KEPT, FOUND, SEEDS) if d.is_dir())])
    if code == 0 and any(merged.iterdir()):
        shutil.rmtree(KEPT, ignore_errors=True)
        shutil.copytree(merged, KEPT)
        sizes = [path.stat().st_size for path in KEPT.iterdir()]
        print(f"{len(sizes)} inputs of {sum(sizes)} bytes are kept in {KEPT.relative_to(ROOT)}")
    return code


def main() -> int:
    arguments: list[str | Path] = [argument for argument in sys.argv[1:] if argument != "--merge"]
    files = [argument for argument in arguments if Path(argument).is_file()]
    atheris_directory()
    build()
    seeds()
    FOUND.mkdir(parents=True, exist_ok=True)
    if "--merge" in sys.argv:
        return merge(arguments)
    if files:
        return fuzz(arguments)
    if not any(str(argument).startswith(("-max_total_time", "-runs")) for argument in arguments):
        arguments.append("-max_total_time=60")
    return fuzz([*arguments, FOUND, *([KEPT] if KEPT.is_dir() else []), SEEDS])


if __name__ == "__main__":
    sys.exit(main())
