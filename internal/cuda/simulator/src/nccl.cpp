/* NCCL, as its user guide for release 2.32 describes it: what one GPU sends another. A simulator is a process and has one GPU at work, so
 * that ranks are processes; what they send goes through sockets named by their unique id.
 *
 * An exchange is done when it is launched, and waits for the other ranks then. One that they do not answer is a kernel that never ends: the
 * device is stuck until the communicator is aborted. What is against the rules is a violation: a send without a receive and the reverse,
 * lengths or types that differ, memory that is none of the device's or was never written, a group that is left open while other work is
 * launched, one over several streams, memory that a group both sends and receives, a communicator that is used after its end, or that ends
 * before the graphs that have it. */
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <poll.h>
#include <set>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "simulator.h"

using namespace simulator;

namespace {

enum Result { success, unhandled_cuda_error, system_error, internal_error, invalid_argument, invalid_usage, remote_error, in_progress };
enum Type { uint8 = 1, float32 = 7, farewell = -1 };

struct Id {
    char internal[128];
};
const char *const magic = "slipway-nccl";

struct Header {
    int type;
    size_t count;
};
struct Hello {
    int rank, size, device;
};

struct Comm {
    int rank, size;
    std::map<int, int> sockets; /* by peer */
    int async = success;
    bool gone = false;
    ~Comm() {
        for (auto &[peer, socket] : sockets) close(socket);
    }
};
struct Handle {
    std::shared_ptr<Comm> comm; /* graphs have it, too */
};

struct Op {
    bool sends;
    char *at;
    size_t count;
    int type, peer;
    std::shared_ptr<Comm> comm;
    void *stream;
};

std::set<Handle *> handles;
thread_local int depth;
thread_local std::vector<Op> group;
std::string last;

using Time = std::chrono::steady_clock;

/* How long a rank waits for others before its device is taken to be stuck. */
Time::time_point deadline() {
    const char *seconds = getenv("SLIPWAY_SIMULATOR_NCCL_SECONDS");
    return Time::now() + std::chrono::seconds(seconds ? atoi(seconds) : 120);
}

int fails(Result result, const std::string &why) {
    last = why;
    return result;
}

size_t width(int type) { return type == float32 ? 4 : 1; }

sockaddr_un address_of(const Id &id, int rank, socklen_t *length) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX; /* in the abstract namespace: no file is left */
    int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s-%d", id.internal, rank);
    *length = (socklen_t)(offsetof(sockaddr_un, sun_path) + 1 + n);
    return address;
}

/* What goes to a peer and comes from it. */
struct Lane {
    int socket;
    std::string out;
    size_t sent = 0;
    std::string in;
    size_t expected = 0;
};

/* Sends and receives at the same time until all is there. Returns why not. */
const char *transfer(std::vector<Lane> &lanes, Time::time_point until) {
    for (;;) {
        std::vector<pollfd> waiting;
        std::vector<Lane *> of;
        for (Lane &lane : lanes) {
            short events = (lane.sent < lane.out.size() ? POLLOUT : 0) | (lane.in.size() < lane.expected ? POLLIN : 0);
            if (!events) continue;
            waiting.push_back({lane.socket, events, 0});
            of.push_back(&lane);
        }
        if (waiting.empty()) return nullptr;
        if (Time::now() > until) return "late";
        poll(waiting.data(), waiting.size(), 50);
        for (size_t i = 0; i < waiting.size(); i++) {
            Lane &lane = *of[i];
            if (waiting[i].revents & POLLOUT) {
                ssize_t n = send(lane.socket, lane.out.data() + lane.sent, lane.out.size() - lane.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n > 0) lane.sent += n;
                else if (n < 0 && errno != EAGAIN) return "gone";
            }
            if (waiting[i].revents & (POLLIN | POLLHUP)) {
                char buffer[1 << 16];
                ssize_t n = recv(lane.socket, buffer, std::min(sizeof buffer, lane.expected - lane.in.size()), MSG_DONTWAIT);
                if (n > 0) lane.in.append(buffer, n);
                else if (n == 0 || errno != EAGAIN) return "gone";
            }
        }
    }
}

template <class T> std::string bytes_of(const T &value) { return std::string((const char *)&value, sizeof value); }

/* From here on the stream waits for what does not come. */
int stick(Comm &comm, const char *why) {
    state().stuck = true;
    if (!strcmp(why, "gone")) {
        comm.async = remote_error;
        last = "a peer has closed its connection";
    }
    return 0;
}

/* The work of a group, when its stream comes to it. */
int exchange(const std::vector<Op> &ops) {
    Comm &comm = *ops[0].comm;
    if (comm.gone) return violate("NCCL: a graph has exchanges of a communicator that is gone"), CUDA_ERROR_LAUNCH_FAILED;
    std::map<int, Lane> lanes;
    std::map<int, std::vector<const Op *>> receives;
    for (const Op &op : ops) {
        size_t bytes = op.count * width(op.type);
        Lane &lane = lanes.try_emplace(op.peer, Lane{comm.sockets[op.peer], "", 0, "", 0}).first->second;
        note("nccl %s %d %zu", op.sends ? "send" : "receive", op.peer, bytes);
        if (!op.sends) {
            receives[op.peer].push_back(&op);
            if (!reachable("ncclRecv", "buffer", op.at, bytes, written)) return CUDA_ERROR_ILLEGAL_ADDRESS;
            continue;
        }
        if (op.type == float32 ? !readable("ncclSend", "buffer", (float *)op.at, op.count) : !reachable("ncclSend", "buffer", op.at, bytes, simulator::read))
            return CUDA_ERROR_ILLEGAL_ADDRESS;
        lane.out += bytes_of(Header{op.type, op.count}) + std::string(op.at, bytes);
        for (const Op &other : ops)
            if (!other.sends && other.at < op.at + bytes && op.at < other.at + other.count * width(other.type))
                violate("NCCL: a group sends bytes that it receives, too");
    }
    auto until = deadline();
    std::vector<Lane> all;
    std::vector<int> peers;
    for (auto &[peer, lane] : lanes) {
        for (const Op *op : receives[peer]) lane.expected += sizeof(Header) + op->count * width(op->type);
        all.push_back(lane);
        peers.push_back(peer);
    }
    /* Where the other's are longer or shorter, the first header that differs is in what has come. */
    const char *failed = transfer(all, until);
    for (size_t i = 0; i < all.size(); i++) {
        size_t at = 0;
        for (const Op *op : receives[peers[i]]) {
            if (all[i].in.size() < at + sizeof(Header)) break;
            Header header;
            memcpy(&header, all[i].in.data() + at, sizeof header);
            if (header.type == farewell)
                return violate("NCCL: rank %d receives %zu values from rank %d, which sends nothing more", comm.rank, op->count, peers[i]), stick(comm, "late");
            if (header.type != op->type || header.count != op->count)
                return violate("NCCL: rank %d receives %zu values of type %d from rank %d, which sends %zu of type %d", comm.rank, op->count,
                               op->type, peers[i], header.count, header.type),
                       stick(comm, "late");
            at += sizeof header + op->count * width(op->type);
        }
    }
    if (failed) return stick(comm, failed);
    for (size_t i = 0; i < all.size(); i++) {
        size_t at = 0;
        for (const Op *op : receives[peers[i]]) {
            memcpy(op->at, all[i].in.data() + at + sizeof(Header), op->count * width(op->type));
            at += sizeof(Header) + op->count * width(op->type);
        }
    }
    return 0;
}

/* Launches what a group has. */
int launch() {
    std::vector<Op> ops;
    ops.swap(group);
    if (ops.empty()) return success;
    for (const Op &op : ops)
        if (op.stream != ops[0].stream || op.comm != ops[0].comm) violate("NCCL: a group over several streams or communicators");
    return submit(ops[0].stream, [=]() -> int { return exchange(ops); }) ? unhandled_cuda_error : success;
}

int add(const char *call, bool sends, const void *at, size_t count, int type, int peer, Handle *handle, void *stream) {
    if (int fault = enter(call)) return fault;
    if (!handles.count(handle)) return violate("%s: the communicator is gone", call), invalid_argument;
    needs_primary(call);
    Comm &comm = *handle->comm;
    if (peer < 0 || peer >= comm.size || peer == comm.rank) return violate("%s: peer %d of rank %d", call, peer, comm.rank), invalid_argument;
    if (type != uint8 && type != float32) return violate("%s: type %d", call, type), invalid_argument;
    if (!needs_stream(call, stream) || !reachable(call, "buffer", at, count * width(type))) return invalid_argument;
    group.push_back({sends, (char *)at, count, type, peer, handle->comm, stream});
    return depth ? success : launch();
}

} // namespace

bool simulator::group_is_open() { return depth > 0; }

extern "C" {

int ncclGetVersion(int *version) {
    *version = 23203;
    return success;
}

const char *ncclGetErrorString(int result) {
    static const char *const texts[] = {"no error", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument",
                                        "invalid usage", "remote process exited or there was a network error", "NCCL operation in progress"};
    return result >= 0 && result <= in_progress ? texts[result] : "unknown result code";
}

const char *ncclGetLastError(void *) { return last.c_str(); }

int ncclGetUniqueId(Id *id) {
    if (int fault = enter(__func__)) return fault;
    static int made;
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "%s-%d-%d-%lld", magic, (int)getpid(), ++made,
             (long long)Time::now().time_since_epoch().count());
    return success;
}

/* Ranks connect to those below them. */
int ncclCommInitRank(Handle **made, int size, Id id, int rank) {
    if (int fault = enter(__func__)) return fault;
    needs_primary(__func__);
    if (strncmp(id.internal, magic, strlen(magic))) return violate("ncclCommInitRank: an id that ncclGetUniqueId has not made"), invalid_argument;
    if (rank < 0 || rank >= size) return violate("ncclCommInitRank: rank %d of %d", rank, size), invalid_argument;
    auto until = deadline();
    auto comm = std::make_shared<Comm>();
    comm->rank = rank, comm->size = size;
    socklen_t length;
    sockaddr_un own = address_of(id, rank, &length);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, (sockaddr *)&own, length) || listen(listener, size)) return close(listener), fails(system_error, "two ranks of one number");
    Hello hello = {rank, size, current_device()};
    std::vector<Lane> lanes;
    for (int peer = 0; peer < rank; peer++) {
        sockaddr_un to = address_of(id, peer, &length);
        int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        while (connect(socket, (sockaddr *)&to, length)) {
            if (Time::now() > until) return close(socket), close(listener), fails(system_error, "a rank does not come");
            usleep(1000);
        }
        lanes.push_back({socket, bytes_of(hello), 0, "", sizeof hello});
    }
    while ((int)lanes.size() < size - 1) {
        int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket >= 0) lanes.push_back({socket, bytes_of(hello), 0, "", sizeof hello});
        else if (Time::now() > until) return close(listener), fails(system_error, "a rank does not come");
        else usleep(1000);
    }
    close(listener);
    if (transfer(lanes, until)) return fails(remote_error, "a rank has gone");
    bool alone = true;
    for (Lane &lane : lanes) {
        Hello other;
        memcpy(&other, lane.in.data(), sizeof other);
        comm->sockets[other.rank] = lane.socket;
        if (other.size != size) violate("ncclCommInitRank: %d ranks, and %d of rank %d", size, other.size, other.rank);
        alone = alone && other.device != hello.device;
    }
    if (!alone) return fails(invalid_usage, "Duplicate GPU detected");
    *made = new Handle{comm};
    handles.insert(*made);
    live("NCCL communicator", 1);
    return success;
}

int ncclCommGetAsyncError(Handle *handle, int *error) {
    if (int fault = enter(__func__)) return fault;
    if (!handles.count(handle)) return violate("ncclCommGetAsyncError: the communicator is gone"), invalid_argument;
    *error = handle->comm->async;
    return success;
}

static void end(Handle *handle) {
    handle->comm->gone = true;
    handles.erase(handle);
    delete handle;
    live("NCCL communicator", -1);
}

int ncclCommAbort(Handle *handle) {
    if (!handles.count(handle)) return violate("ncclCommAbort: the communicator is gone"), invalid_argument;
    state().stuck = false; /* "aborts any operations that might still be running on the device" */
    for (auto &[peer, socket] : handle->comm->sockets) shutdown(socket, SHUT_RDWR);
    end(handle);
    return (Result)enter(__func__);
}

/* Each says farewell to the others, who have received all that it sent. */
int ncclCommDestroy(Handle *handle) {
    if (!handles.count(handle)) return violate("ncclCommDestroy: the communicator is gone"), invalid_argument;
    Comm &comm = *handle->comm;
    if (handle->comm.use_count() > 1) violate("ncclCommDestroy: a CUDA graph has its exchanges");
    if (depth) violate("ncclCommDestroy: in a group");
    std::vector<Lane> lanes;
    for (auto &[peer, socket] : comm.sockets) lanes.push_back({socket, bytes_of(Header{farewell, 0}), 0, "", sizeof(Header)});
    if (!state().stuck && !transfer(lanes, deadline()))
        for (Lane &lane : lanes) {
            Header header;
            memcpy(&header, lane.in.data(), sizeof header);
            if (header.type != farewell) violate("ncclCommDestroy: another rank has sent %zu values that rank %d never received", header.count, comm.rank);
        }
    end(handle);
    return (Result)enter(__func__);
}

int ncclGroupStart(void) {
    if (int fault = enter(__func__)) return fault;
    depth++;
    return success;
}
int ncclGroupEnd(void) {
    int fault = enter(__func__);
    if (!depth) return violate("ncclGroupEnd: there is no group"), invalid_usage;
    if (--depth) return fault;
    if (fault) group.clear();
    return fault ? fault : launch();
}
int ncclSend(const void *from, size_t count, int type, int peer, Handle *comm, void *stream) {
    return add(__func__, true, from, count, type, peer, comm, stream);
}
int ncclRecv(void *to, size_t count, int type, int peer, Handle *comm, void *stream) {
    return add(__func__, false, to, count, type, peer, comm, stream);
}
}
