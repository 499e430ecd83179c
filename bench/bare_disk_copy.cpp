// The yardstick of the disk benchmark, without anything of godwit in it:
//   bare_disk_copy copy tcp|unix SOURCE DESTINATION BUFFER_BYTES   the allocated chunks of a file through a socket
//   bare_disk_copy fill FILE BYTES PERCENT                         a sparse file of which so much is allocated, in
//   chunks
// `copy` prints the seconds from the first byte read until the receiver has written the last one and has called
// fdatasync, and the bytes sent. A chunk has 1 MiB; its offset goes before it.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "yardstick.h"

namespace {

using namespace yardstick;

constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
constexpr std::uint64_t end_mark = ~std::uint64_t{0};

int open_file(const std::string& path, int flags) {
    return check(open(path.c_str(), flags | O_CLOEXEC, 0600), path);
}

void fill(const std::string& path, std::uint64_t bytes, unsigned percent) {
    const int fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
    check(ftruncate(fd, static_cast<off_t>(bytes)), path);
    std::vector<std::uint64_t> chunk(chunk_bytes / 8);
    std::uint64_t state = 0x9e3779b97f4a7c15;
    std::uint64_t allocated = 0;
    for (std::uint64_t at = 0; at + chunk_bytes <= bytes; at += chunk_bytes) {
        if (allocated * 100 > at * percent) {
            continue;
        }
        for (std::uint64_t& word : chunk) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word = state;
        }
        check(pwrite(fd, chunk.data(), chunk_bytes, static_cast<off_t>(at)), path);
        allocated += chunk_bytes;
    }
    check(fdatasync(fd), path);
    close(fd);
}

void receive_exactly(int socket, void* to, std::size_t bytes) {
    auto* at = static_cast<std::byte*>(to);
    while (bytes > 0) {
        const ssize_t got = read(socket, at, bytes);
        if (got <= 0) {
            die("receiving");
        }
        at += got;
        bytes -= static_cast<std::size_t>(got);
    }
}

void send_chunk(int socket, std::uint64_t offset, std::span<const std::byte> data) {
    std::array<iovec, 2> pieces{{{&offset, sizeof offset}, {const_cast<std::byte*>(data.data()), data.size()}}};
    std::size_t first = 0;
    while (first < pieces.size()) {
        auto sent = static_cast<std::size_t>(
            check(writev(socket, &pieces[first], static_cast<int>(pieces.size() - first)), "sending"));
        while (first < pieces.size() && sent >= pieces[first].iov_len) {
            sent -= pieces[first++].iov_len;
        }
        if (first < pieces.size()) {
            pieces[first].iov_base = static_cast<std::byte*>(pieces[first].iov_base) + sent;
            pieces[first].iov_len -= sent;
        }
    }
}

void receive(int socket, int file) {
    std::vector<std::byte> chunk(chunk_bytes);
    for (;;) {
        std::uint64_t offset = 0;
        receive_exactly(socket, &offset, sizeof offset);
        if (offset == end_mark) {
            break;
        }
        receive_exactly(socket, chunk.data(), chunk_bytes);
        if (pwrite(file, chunk.data(), chunk_bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(chunk_bytes)) {
            die("writing");
        }
    }
    check(fdatasync(file), "fdatasync");
    check(write(socket, "!", 1), "confirming");
}

std::uint64_t send_all(int socket, int file) {
    std::vector<std::byte> chunk(chunk_bytes);
    std::uint64_t sent = 0;
    const off_t size = check(lseek(file, 0, SEEK_END), "size");
    for (off_t at = lseek(file, 0, SEEK_DATA); at >= 0 && at < size; at = lseek(file, at, SEEK_DATA)) {
        const off_t hole = check(lseek(file, at, SEEK_HOLE), "SEEK_HOLE");
        for (; at < hole; at += static_cast<off_t>(chunk_bytes)) {
            if (pread(file, chunk.data(), chunk_bytes, at) != static_cast<ssize_t>(chunk_bytes)) {
                die("reading");
            }
            send_chunk(socket, static_cast<std::uint64_t>(at), chunk);
            sent += chunk_bytes;
        }
    }
    send_chunk(socket, end_mark, {});
    char confirmation = 0;
    receive_exactly(socket, &confirmation, 1);
    return sent;
}

int copy(std::string_view transport, const std::string& source, const std::string& destination, int buffer_bytes) {
    const Pair ends = connect_pair(transport, buffer_bytes);
    const pid_t child = check(fork(), "fork");
    if (child == 0) {
        close(ends.sender);
        receive(ends.receiver, open_file(destination, O_RDWR));
        _exit(0);
    }
    close(ends.receiver);
    const int file = open_file(source, O_RDONLY);
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t sent = send_all(ends.sender, file);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    int status = 0;
    check(waitpid(child, &status, 0), "waitpid");
    std::printf("%.6f %llu\n", taken.count(), static_cast<unsigned long long>(sent));
    return status == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    const std::string_view mode = argc > 1 ? arguments[1] : "";
    if (mode == "copy" && argc == 6) {
        return copy(arguments[2], arguments[3], arguments[4], static_cast<int>(std::strtol(arguments[5], nullptr, 10)));
    }
    if (mode == "fill" && argc == 5) {
        fill(arguments[2], std::strtoull(arguments[3], nullptr, 10),
             static_cast<unsigned>(std::strtoul(arguments[4], nullptr, 10)));
        return 0;
    }
    std::fputs("bare_disk_copy: see the comment at the top of bench/bare_disk_copy.cpp\n", stderr);
    return 2;
}
