#include <fmt/format.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string_view>

#include "cli/subcommands.h"
#include "io/address.h"
#include "io/monotonic_clock.h"
#include "io/openers.h"
#include "io/spdlog_log.h"
#include "tools/ram_extractor.h"
#include "tools/stream_inspector.h"

namespace godwit {

namespace {

struct InspectOptions {
    std::string file;
    std::string extract;  ///< a directory, or empty
    bool force = false;
};

class Silence : public Log {
public:
    void write(LogLevel, std::string_view) override {}
};

/// Memory in a file for which its file system has no space left ends the program with this signal, wherever it is
/// written: the least is to say so.
void explain_bus_error() {
    struct sigaction action = {};
    action.sa_handler = [](int) {
        constexpr std::string_view text = "godwit: the file system of the extracted memory is full, or failed\n";
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
        ::_exit(exit_failure);
    };
    ::sigaction(SIGBUS, &action, nullptr);
}

/// The same, where it is the kernel that writes: what was seen of it is a bad address.
bool is_full(const std::string& directory) {
    struct statvfs space = {};
    return ::statvfs(directory.c_str(), &space) == 0 && space.f_bavail == 0;
}

Status inspect_file(const InspectOptions& options) {
    const Result<Address> address = parse_address(options.file == "-" ? "fd:0" : "file:" + options.file);
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
    ExtractionDirectory directory(options.extract, options.force);
    RamExtractor ram(directory);
    DiskExtractor disks(directory);
    StreamInspector::Extractors extractors;
    if (!options.extract.empty()) {
        explain_bus_error();
        extractors = {&ram, &disks};
    }
    StreamInspector inspector(
        **channel, clock, [](const std::string& line) { fmt::print("{}\n", line); }, extractors);
    Status inspected = inspector.inspect();
    if (!inspected && inspected.error().code == ErrorCode::io && !options.extract.empty() && is_full(options.extract)) {
        return fail(ErrorCode::io, inspected.error().message,
                    fmt::format("the file system of {} is full", options.extract));
    }
    return inspected;
}

}  // namespace

void add_inspect_command(CLI::App& app, int& status) {
    auto options = std::make_shared<InspectOptions>();
    CLI::App* command =
        app.add_subcommand("inspect", "Show what is in a saved migration stream, and where it is broken");
    command->add_option("FILE", options->file, "The stream, as saved by `migrate file:FILE`; - is the standard input")
        ->required();
    CLI::Option* extract = command
                               ->add_option("--extract", options->extract,
                                            "Also put the memory into sparse files DIR/BLOCK.ram, one for each RAM "
                                            "block, and the disks into DIR/NAME.disk; DIR is made if it does not exist")
                               ->type_name("DIR")
                               ->check([](const std::string& directory) {
                                   return directory.empty() ? "a directory needs a name" : std::string();
                               });
    command->add_flag("--force", options->force, "Replace files that --extract finds in its way")->needs(extract);
    command->footer(
        "Lists sections with their offsets and sizes, RAM blocks and disks, pages and chunks by kind. The exit status "
        "is 1 when the stream is broken; the message says where. What was extracted is then as it came until there.\n"
        "A disk's file ends where its last chunk of 1 MiB ends: the stream does not tell how large the disk is.\n"
        "Examples:\n  godwit inspect /tmp/vm1.stream\n  godwit inspect /tmp/vm1.stream --extract /tmp/vm1");
    command->callback([options, &status] {
        const Status outcome = inspect_file(*options);
        std::fflush(stdout);
        if (!outcome) {
            print_error(outcome.error());
        }
        status = outcome ? exit_success : exit_failure;
    });
}

}  // namespace godwit
