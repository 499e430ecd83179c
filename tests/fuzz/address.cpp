// URIs of migrations: what QMP, the human monitor and the command line say of where a migration goes to or comes from.
#include "io/address.h"

#include <string_view>

#include "base/assert.h"
#include "fuzz/fuzz_target.h"

namespace {

using namespace godwit;

constexpr std::size_t max_error_bytes = 2048;

struct Checker {
    void operator()(const TcpAddress& tcp) const { check_host(tcp.host); }
    void operator()(const RdmaAddress& rdma) const { check_host(rdma.host); }
    void operator()(const UnixAddress& local) const {
        GODWIT_ASSERT(!local.path.empty() && local.path.size() < 108, "a path of {} bytes", local.path.size());
    }
    void operator()(const FdAddress& fd) const {
        GODWIT_ASSERT(!fd.name.empty(), "a descriptor without a name");
        GODWIT_ASSERT(!fd.is_inherited() || fd.number() >= 0, "a negative descriptor");
    }
    void operator()(const ExecAddress& exec) const { GODWIT_ASSERT(!exec.command.empty(), "no command"); }
    void operator()(const FileAddress& file) const { GODWIT_ASSERT(!file.path.empty(), "no path"); }

    static void check_host(const std::string& host) {
        GODWIT_ASSERT(host.size() <= 255 && host.find_first_of("[]/, \n") == std::string::npos, "the host '{}'", host);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Result<Address> address = parse_address(text);
    if (!address) {
        const Error& error = address.error();
        GODWIT_ASSERT(error.code == ErrorCode::invalid_argument && !error.message.empty(), "an error without a cause");
        GODWIT_ASSERT(error.message.size() <= max_error_bytes, "an error of {} bytes", error.message.size());
        return 0;
    }
    GODWIT_ASSERT(text.find('\0') == std::string_view::npos, "what the system does not see was accepted");
    std::visit(Checker{}, *address);
    const Result<Address> again = parse_address(to_string(*address));
    GODWIT_ASSERT(again && *again == *address, "'{}' is read back as something else", to_string(*address));
    return 0;
}
