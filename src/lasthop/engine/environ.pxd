from lasthop.engine.connection cimport Conn
from lasthop.http1.head cimport Head

cdef dict build_environ(dict template, const Head* head, const unsigned char* buf, Conn* conn)
cdef dict build_stub(dict template, Conn* conn)
