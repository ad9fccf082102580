# What the engine asks of Linux and glibc and Cython's own declarations do not have: epoll, sockets, semaphores, threads, atomics.
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from posix.time cimport timespec
from posix.types cimport off_t

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int count, int flags)
    int EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long value, unsigned long, unsigned long, unsigned long)
    int PR_GET_TIMERSLACK, PR_SET_TIMERSLACK

cdef extern from "<unistd.h>" nogil:
    int pipe2(int* ends, int flags)
    long syscall(long number, ...)

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long nfds, int timeout)
    int ppoll(pollfd* fds, unsigned long nfds, const timespec* timeout, const void* sigmask)
    short POLLIN, POLLOUT, POLLRDHUP, POLLHUP, POLLERR

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    ctypedef unsigned int socklen_t
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    int socket(int family, int type, int protocol)
    int connect(int fd, const sockaddr* addr, socklen_t size)
    int accept4(int fd, sockaddr* addr, socklen_t* size, int flags)
    ssize_t recv(int fd, void* buf, size_t size, int flags)
    ssize_t send(int fd, const void* buf, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int shutdown(int fd, int how)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)
    int SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, MSG_MORE, SHUT_RD, SHUT_WR, SHUT_RDWR
    struct linger_time "linger":
        int l_onoff
        int l_linger
    int AF_INET, AF_INET6, AF_UNIX, SOL_SOCKET, SO_LINGER, SO_SNDBUF, SO_DOMAIN, SO_ERROR, SO_PEERCRED, SO_PEERGROUPS

cdef extern from "<sys/un.h>" nogil:
    struct sockaddr_un:
        char sun_path[108]

cdef extern from "<sys/sendfile.h>" nogil:
    ssize_t sendfile(int out_fd, int in_fd, off_t* offset, size_t count)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in:
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    unsigned short ntohs(unsigned short n)
    unsigned short htons(unsigned short n)
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass
    int sem_init(sem_t* sem, int shared, unsigned int value)
    int sem_destroy(sem_t* sem)
    int sem_wait(sem_t* sem)
    int sem_post(sem_t* sem)

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_create(pthread_t* thread, const void* attr, void* (*start)(void*) noexcept nogil, void* arg)
    int pthread_join(pthread_t thread, void** result)
    int pthread_setname_np(pthread_t thread, const char* name)
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attr)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t* set)
    int pthread_sigmask(int how, const sigset_t* set, sigset_t* old)
    int SIG_SETMASK

cdef extern from * nogil:
    # GCC and clang builtins; memory orders by their numbers' names
    int __ATOMIC_RELAXED, __ATOMIC_ACQUIRE, __ATOMIC_RELEASE, __ATOMIC_SEQ_CST
    int __atomic_load_n(int* place, int order)
    void __atomic_store_n(int* place, int value, int order)
    int __atomic_add_fetch(int* place, int value, int order)
    uint64_t atomic_add_u64 "__atomic_add_fetch"(uint64_t* place, uint64_t value, int order)
    bint __atomic_compare_exchange_n(int* place, int* expected, int desired, bint weak, int success, int failure)

cdef extern from "<time.h>" nogil:
    int CLOCK_MONOTONIC_COARSE, CLOCK_REALTIME_COARSE, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID
    int clock_getcpuclockid(int pid, int* clock)

cdef extern from "Python.h":
    ctypedef struct PyWeakReference:
        PyWeakReference* wr_next
    ctypedef struct TypeOf "PyTypeObject":
        Py_ssize_t tp_weaklistoffset
    TypeOf* Type "Py_TYPE"(object)
    PyObject* PyDict_SetDefault(object, object key, object value) except NULL
    bint is_dict "PyDict_CheckExact"(PyObject*)
    Py_ssize_t entries_of "PyDict_GET_SIZE"(PyObject*)
    bint next_entry "PyDict_Next"(PyObject* dict, Py_ssize_t* place, PyObject** key, PyObject** value)
    PyObject* vectorcall "PyObject_Vectorcall"(object, PyObject** arguments, size_t count, void* names)  # NULL: it raised
    bint enter_context "PyContext_Enter"(object)    # true: it raised
    ctypedef struct GetSet "PyGetSetDef":
        PyObject* (*get)(PyObject*, void*)
        void* closure
    ctypedef struct GetSetDescriptor "PyGetSetDescrObject":
        GetSet* d_getset
    bint PyCoro_CheckExact(object)
    object PyObject_GenericGetDict(object, void* closure)
    int PyIter_Send(object iterator, object value, PyObject** result)
    int PYGEN_RETURN, PYGEN_NEXT, PYGEN_ERROR
    int PyException_SetTraceback(object error, object traceback) except -1
