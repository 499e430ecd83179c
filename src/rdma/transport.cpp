#include "rdma/transport.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace godwit::rdma {
namespace {

std::optional<unsigned> hexadecimal_digit(char c) {
    if (c >= '0' && c <= '9') {
        return static_cast<unsigned>(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return static_cast<unsigned>(c - 'a') + 10;
    }
    return {};
}

/// The kernel's random name of this boot, a UUID; zeros where it cannot be read.
std::array<std::byte, 16> read_boot_id() {
    std::array<std::byte, 16> id{};
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(file, text);
    std::size_t digits = 0;
    for (const char c : text) {
        const auto digit = hexadecimal_digit(c);
        if (digit && digits < 2 * id.size()) {
            id[digits / 2] = (id[digits / 2] << 4U) | static_cast<std::byte>(*digit);
            ++digits;
        }
    }
    return id;
}

std::uint64_t read_pid_namespace() {
    struct stat status {};
    return ::stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

bool find_rdma_device() {
    std::error_code error;
    const std::filesystem::directory_iterator devices("/sys/class/infiniband", error);
    return !error && devices != std::filesystem::directory_iterator();
}

/// What could not be read is no reason to take two hosts for one.
bool on_one_host(const HostIdentity& one, const HostIdentity& other) {
    return one.boot_id == other.boot_id && one.boot_id != decltype(one.boot_id){} &&
           one.pid_namespace == other.pid_namespace && one.pid_namespace != 0;
}

}  // namespace

std::string_view to_string(Transport transport) {
    switch (transport) {
        case Transport::automatic:
            return "auto";
        case Transport::shared_memory:
            return "shm";
        case Transport::tcp:
            return "tcp";
        case Transport::verbs:
            return "verbs";
    }
    return "unknown";
}

HostIdentity this_host() {
    return {.boot_id = read_boot_id(), .pid_namespace = read_pid_namespace(), .has_rdma_device = find_rdma_device()};
}

bool needs_ucx(Transport transport) {
    return transport == Transport::tcp || transport == Transport::verbs;
}

Result<Transport> choose_transport(Transport wish, const HostIdentity& source, const HostIdentity& destination) {
    if (wish == Transport::verbs && !(source.has_rdma_device && destination.has_rdma_device)) {
        return fail(ErrorCode::unsupported,
                    fmt::format("transport=verbs, but the {} has no RDMA device",
                                source.has_rdma_device ? "destination's host" : "source's host"),
                    "leave ,transport=verbs out of the source's URI");
    }
    if (wish != Transport::automatic) {
        return wish;
    }
    if (on_one_host(source, destination)) {
        return Transport::shared_memory;
    }
    if (source.has_rdma_device && destination.has_rdma_device) {
        return Transport::verbs;
    }
    return fail(ErrorCode::unsupported, "no RDMA device on both hosts",
                "use tcp:HOST:PORT, or add ,transport=tcp to the source's URI to try RDMA without a device");
}

}  // namespace godwit::rdma
