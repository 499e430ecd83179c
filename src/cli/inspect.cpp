#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/subcommands.h"
#include "io/address.h"
#include "io/monotonic_clock.h"
#include "io/openers.h"
#include "io/spdlog_log.h"
#include "tools/stream_inspector.h"

namespace godwit {

namespace {

class Silence : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

Status inspect_file(const std::string& file) {
    const Result<Address> address = parse_address(file == "-" ? "fd:0" : "file:" + file);
    if (!address) {
        return fail(address.error());
    }
    MonotonicClock clock;
    Silence silence;
    NamedDescriptors descriptors;
    Result<IncomingEndpoint> endpoint = make_incoming_endpoint(*address, descriptors, clock, silence);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    Result<std::unique_ptr<Channel>> channel = endpoint->opener->open(never);
    if (!channel) {
        return fail(channel.error());
    }
    StreamInspector inspector(**channel, clock, [](const std::string& line) { fmt::print("{}\n", line); });
    return inspector.inspect();
}

}  // namespace

void add_inspect_command(CLI::App& app, int& status) {
    auto file = std::make_shared<std::string>();
    CLI::App* command =
        app.add_subcommand("inspect", "Show what is in a saved migration stream, and where it is broken");
    command->add_option("FILE", *file, "The stream, as saved by `migrate file:FILE`; - is the standard input")
        ->required();
    command->footer(
        "Lists sections with their offsets and sizes, RAM blocks, and pages by kind. The exit status is 1 when the "
        "stream is "
        "broken; the message says where.\n"
        "Example:\n  godwit inspect /tmp/vm1.stream");
    command->callback([file, &status] {
        const Status outcome = inspect_file(*file);
        std::fflush(stdout);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? exit_success : exit_failure;
    });
}

}  // namespace godwit
