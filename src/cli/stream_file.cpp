#include "cli/stream_file.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "cli/exit_status.h"
#include "io/address.h"
#include "io/openers.h"
#include "io/spdlog_log.h"

namespace godwit {
namespace {

class Silence : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

}  // namespace

Result<std::unique_ptr<Channel>> open_stream_file(const std::string& file, Clock& clock) {
    const Result<Address> address = parse_address(file == "-" ? "fd:0" : "file:" + file);
    if (!address) {
        return fail(address.error());
    }
    Silence silence;
    NamedDescriptors descriptors;
    Result<IncomingEndpoint> endpoint = make_incoming_endpoint(*address, descriptors, clock, silence);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    return endpoint->opener->open(never);
}

void explain_full_file_system() {
    struct sigaction action = {};
    action.sa_handler = [](int) {
        constexpr std::string_view text = "godwit: the file system of the extracted memory is full, or failed\n";
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        ::_exit(exit_failure);
    };
    ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace godwit
