#include <fmt/format.h>
#include <sys/statvfs.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <memory>
#include <string_view>

#include "base/printable.h"
#include "cli/output.h"
#include "cli/stream_file.h"
#include "cli/subcommands.h"
#include "io/monotonic_clock.h"
#include "tools/disk_extractor.h"
#include "tools/json_listing.h"
#include "tools/ram_extractor.h"
#include "tools/stream_inspector.h"
#include "tools/text_listing.h"

namespace godwit {

namespace {

struct InspectOptions {
    std::string file;
    std::string extract;  ///< a directory, or empty
    bool force = false;
    bool devices = false;
    bool all = false;
    bool json = false;
};

/// Where it is the kernel that writes to a full file system, what was seen of it is a bad address.
bool is_full(const std::string& directory) {
    struct statvfs space = {};
    return ::statvfs(directory.c_str(), &space) == 0 && space.f_bavail == 0;
}

/// Reads the whole stream; the files that it has made are in `files`.
Status inspect_file(const InspectOptions& options, StreamListener& listener, std::vector<std::string>& files) {
    MonotonicClock clock;
    Result<std::unique_ptr<Channel>> channel = open_stream_file(options.file, clock);
    if (!channel) {
        return fail(channel.error());
    }
    ExtractionDirectory directory(options.extract, options.force);
    RamExtractor ram(directory);
    DiskExtractor disks(directory);
    StreamInspector::Takers takers;
    if (!options.extract.empty()) {
        explain_full_file_system();
        takers = {&ram, &disks};
    }
    StreamInspector inspector(**channel, clock, listener, takers);
    Status inspected = inspector.inspect();
    for (const auto& made : {disks.files(), ram.files()}) {
        files.insert(files.end(), made.begin(), made.end());
    }
    if (!inspected && inspected.error().code == ErrorCode::io && !options.extract.empty() && is_full(options.extract)) {
        return fail(ErrorCode::io, inspected.error().message,
                    fmt::format("the file system of {} is full", options.extract));
    }
    return inspected;
}

Status list_as_text(const InspectOptions& options) {
    TextListing::Detail detail;
    detail.fields = options.devices;
    detail.value_chars = options.all ? std::numeric_limits<std::size_t>::max() : detail.value_chars;
    TextListing listing([](const std::string& line) { put_output(line + "\n"); }, detail);
    std::vector<std::string> files;
    Status inspected = inspect_file(options, listing, files);
    for (const std::string& file : files) {
        put_output(fmt::format("extracted: {}\n", printable(file)));
    }
    return inspected;
}

Status list_as_json(const InspectOptions& options) {
    JsonListing listing(put_output);
    std::vector<std::string> files;
    Status inspected = inspect_file(options, listing, files);
    listing.finish(inspected, files);
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
    CLI::Option* devices = command->add_flag("--devices", options->devices,
                                             "Also list the fields of each device and their values, by the description "
                                             "at the end of the stream; buffers in hexadecimal digits, shortened");
    command->add_flag("--all", options->all, "With --devices: all of each value")->needs(devices);
    command
        ->add_flag("--json", options->json,
                   "One JSON document instead, with everything: sections, devices with all fields, blocks, disks")
        ->excludes(devices);
    command->footer(
        "Lists sections with their offsets and sizes, RAM blocks and disks, pages and chunks by kind. The exit status "
        "is 1 when the stream is broken; the message says where. What was extracted is then as it came until there.\n"
        "A disk's file ends where its last chunk of 1 MiB ends: the stream does not tell how large the disk is.\n"
        "'godwit verify' judges a stream, 'godwit diff' compares two.\n"
        "Examples:\n  godwit inspect /tmp/vm1.stream\n  godwit inspect /tmp/vm1.stream --extract /tmp/vm1\n"
        "  godwit inspect /tmp/vm1.stream --devices\n"
        "  godwit inspect /tmp/vm1.stream --json | jq '.sections[] | select(.name == \"cpu\") | .fields[\"env.eip\"]'");
    command->callback([options, &status] {
        const Status outcome = options->json ? list_as_json(*options) : list_as_text(*options);
        const Status told = finish_output();
        for (const Status& one : {outcome, told}) {
            if (!one) {
                print_error(one.error());
            }
        }
        status = outcome && told ? exit_success : exit_failure;
    });
}

}  // namespace godwit
