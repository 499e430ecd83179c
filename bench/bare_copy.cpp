// The yardstick and the tools of the migration benchmark, without anything of godwit in it:
//   bare_copy copy tcp|unix SOURCE DESTINATION CALL_BYTES BUFFER_BYTES   one copy of a file's memory through a socket
//   bare_copy copy-fresh ...      the same with a destination that is not mapped before, and may be a hole
//   bare_copy memcpy SOURCE DESTINATION                                  one copy within a process; prints its seconds
//   bare_copy fill FILE BYTES     incompressible contents, every page allocated
//   bare_copy zero FILE BYTES     zeros, every page allocated
//   bare_copy read FILE           reads it once; prints its seconds
//   bare_copy scrub FILE          changes a word in each page, so that a page that is not copied afterwards shows
//   bare_copy compare A B         exit status 0 if the contents are equal
// `copy` prints the seconds from the first byte sent until the receiver has confirmed the last one, the processor
// seconds of both processes meanwhile, and the buffer sizes in use.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "tools/memory_read.h"
#include "yardstick.h"

namespace {

using namespace yardstick;

constexpr std::size_t page_bytes = 4096;

enum class Mapping { all_pages, as_touched };

/// A file in memory, shared, with all its pages mapped unless they are to come as they are touched.
std::span<std::byte> map_file(const std::string& path, std::size_t new_bytes = 0,
                              Mapping mapping = Mapping::all_pages) {
    const int fd = check(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), path);
    if (new_bytes != 0) {
        check(ftruncate(fd, static_cast<off_t>(new_bytes)), path);
    }
    struct stat status {};
    check(fstat(fd, &status), path);
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        die("mapping " + path);
    }
    if (mapping == Mapping::all_pages) {
        check(madvise(memory, bytes, MADV_POPULATE_WRITE), "populating " + path);
    }
    close(fd);
    return {static_cast<std::byte*>(memory), bytes};
}

std::uint64_t next_random(std::uint64_t& state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void fill(const std::string& path, std::size_t bytes) {
    const auto memory = map_file(path, bytes);
    std::uint64_t state = 0x9e3779b97f4a7c15;
    for (std::size_t i = 0; i + 8 <= memory.size(); i += 8) {
        const std::uint64_t word = next_random(state);
        std::memcpy(&memory[i], &word, 8);
    }
}

void zero(const std::string& path, std::size_t bytes) {
    const auto memory = map_file(path, bytes);
    std::memset(memory.data(), 0, memory.size());
}

void read_memory(const std::string& path) {
    const auto memory = map_file(path);
    const auto begin = std::chrono::steady_clock::now();
    const volatile std::uint64_t sum = godwit::memory_read::sum(memory.data(), memory.size());
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    static_cast<void>(sum);
    std::printf("%.6f\n", seconds.count());
}

void copy_memory(const std::string& source, const std::string& destination) {
    const auto from = map_file(source);
    const auto to = map_file(destination);
    constexpr std::size_t piece_bytes = 1024 * 1024;
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t done = 0; done < from.size(); done += piece_bytes) {
        std::memcpy(&to[done], &from[done], std::min(piece_bytes, from.size() - done));
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%.6f\n", seconds.count());
}

void scrub(const std::string& path) {
    const auto memory = map_file(path);
    for (std::size_t i = 0; i < memory.size(); i += page_bytes) {
        memory[i] ^= std::byte{0xff};
    }
}

int compare(const std::string& first, const std::string& second) {
    const auto a = map_file(first);
    const auto b = map_file(second);
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0 ? 0 : 1;
}

int buffer_of(int socket, int option) {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    check(getsockopt(socket, SOL_SOCKET, option, &bytes, &size), "getsockopt");
    return bytes;
}

void receive(int socket, std::span<std::byte> memory, std::size_t call_bytes) {
    while (!memory.empty()) {
        const ssize_t got = read(socket, memory.data(), std::min(call_bytes, memory.size()));
        if (got <= 0) {
            die("receiving");
        }
        memory = memory.subspan(static_cast<std::size_t>(got));
    }
    check(static_cast<int>(write(socket, "!", 1)), "confirming");
}

void send_all(int socket, std::span<const std::byte> memory, std::size_t call_bytes) {
    while (!memory.empty()) {
        const ssize_t sent = write(socket, memory.data(), std::min(call_bytes, memory.size()));
        if (sent <= 0) {
            die("sending");
        }
        memory = memory.subspan(static_cast<std::size_t>(sent));
    }
    char confirmation = 0;
    if (read(socket, &confirmation, 1) != 1) {
        die("waiting for the confirmation");
    }
}

double cpu_seconds() {
    rusage used{};
    check(getrusage(RUSAGE_SELF, &used), "getrusage");
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// The receiving process: says that it is ready, and at the end what processor time it took.
void receive_and_report(int socket, int report, const std::string& path, std::size_t call_bytes, Mapping mapping) {
    const auto memory = map_file(path, 0, mapping);
    check(static_cast<int>(write(report, "r", 1)), "pipe");
    const double before = cpu_seconds();
    receive(socket, memory, call_bytes);
    const double used = cpu_seconds() - before;
    check(static_cast<int>(write(report, &used, sizeof used)), "pipe");
}

int copy(std::string_view transport, const std::string& source, const std::string& destination, std::size_t call_bytes,
         int buffer_bytes, Mapping mapping) {
    const Pair ends = connect_pair(transport, buffer_bytes);
    std::array<int, 2> report{};
    check(pipe2(report.data(), O_CLOEXEC), "pipe");
    const pid_t child = check(fork(), "fork");
    if (child == 0) {
        close(ends.sender);
        receive_and_report(ends.receiver, report[1], destination, call_bytes, mapping);
        _exit(0);
    }
    close(ends.receiver);
    close(report[1]);
    const auto memory = map_file(source);
    char token = 0;
    if (read(report[0], &token, 1) != 1) {
        die("waiting for the receiver");
    }
    const double cpu_before = cpu_seconds();
    const auto begin = std::chrono::steady_clock::now();
    send_all(ends.sender, memory, call_bytes);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    const double sender_cpu = cpu_seconds() - cpu_before;
    double receiver_cpu = 0;
    if (read(report[0], &receiver_cpu, sizeof receiver_cpu) != sizeof receiver_cpu) {
        die("reading the receiver's processor time");
    }
    int status = 0;
    check(waitpid(child, &status, 0), "waitpid");
    std::printf("%.6f %.6f %d %d\n", taken.count(), sender_cpu + receiver_cpu, buffer_of(ends.sender, SO_SNDBUF),
                buffer_of(ends.sender, SO_RCVBUF));
    return status == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    const std::string_view mode = argc > 1 ? arguments[1] : "";
    if ((mode == "copy" || mode == "copy-fresh") && argc == 7) {
        return copy(arguments[2], arguments[3], arguments[4], std::strtoul(arguments[5], nullptr, 10),
                    static_cast<int>(std::strtol(arguments[6], nullptr, 10)),
                    mode == "copy" ? Mapping::all_pages : Mapping::as_touched);
    }
    if (mode == "fill" && argc == 4) {
        fill(arguments[2], std::strtoul(arguments[3], nullptr, 10));
        return 0;
    }
    if (mode == "zero" && argc == 4) {
        zero(arguments[2], std::strtoul(arguments[3], nullptr, 10));
        return 0;
    }
    if (mode == "read" && argc == 3) {
        read_memory(arguments[2]);
        return 0;
    }
    if (mode == "memcpy" && argc == 4) {
        copy_memory(arguments[2], arguments[3]);
        return 0;
    }
    if (mode == "scrub" && argc == 3) {
        scrub(arguments[2]);
        return 0;
    }
    if (mode == "compare" && argc == 4) {
        return compare(arguments[2], arguments[3]);
    }
    std::fputs("bare_copy: see the comment at the top of bench/bare_copy.cpp\n", stderr);
    return 2;
}
