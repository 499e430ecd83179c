#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/stream_file.h"
#include "cli/subcommands.h"
#include "io/monotonic_clock.h"
#include "tools/difference_report.h"

namespace godwit {

namespace {

struct DiffOptions {
    std::string a;
    std::string b;
    std::vector<std::string> ignored;
    std::string directory;
    std::size_t limit = 20;
    bool json = false;
};

Result<std::unique_ptr<SavedMachine>> read_machine(const std::string& file, const DiffOptions& options) {
    const auto about = [&](const Error& error) {
        return fail(error.code, fmt::format("{}: {}", file, error.message), error.hint);
    };
    MonotonicClock clock;
    const Result<std::unique_ptr<Channel>> channel = open_stream_file(file, clock);
    if (!channel) {
        return about(channel.error());
    }
    Result<std::unique_ptr<SavedMachine>> machine = SavedMachine::read(file, options.directory, **channel, clock);
    return machine ? std::move(machine) : about(machine.error());
}

/// Whether the machines are the same.
Result<bool> diff_files(const DiffOptions& options) {
    const Result<std::unique_ptr<SavedMachine>> a = read_machine(options.a, options);
    if (!a) {
        return fail(a.error());
    }
    const Result<std::unique_ptr<SavedMachine>> b = read_machine(options.b, options);
    if (!b) {
        return fail(b.error());
    }
    const std::size_t limit = options.limit != 0 ? options.limit : std::numeric_limits<std::size_t>::max();
    const Result<MachineDifference> difference = compare_machines(**a, **b, IgnoredNames(options.ignored), limit);
    if (!difference) {
        return fail(difference.error());
    }
    if (options.json) {
        write_difference(*difference, put_output);
    } else {
        tell_difference(*difference, [](const std::string& line) { put_output(line + "\n"); });
    }
    return !difference->exists();
}

std::string default_directory() {
    const char* directory = std::getenv("TMPDIR");
    return directory != nullptr && *directory != '\0' ? directory : "/tmp";
}

}  // namespace

void add_diff_command(CLI::App& app, int& status) {
    auto options = std::make_shared<DiffOptions>();
    options->directory = default_directory();
    CLI::App* command = app.add_subcommand("diff", "Compare two saved machines: memory, disks, fields of devices");
    command->add_option("A", options->a, "A stream, as saved by `migrate file:FILE` or by a QEMU; a file")->required();
    command->add_option("B", options->b, "Another one")->required();
    command
        ->add_option("--ignore", options->ignored,
                     "Leave out a device section (cpu, or cpu:1 for one instance), a field (cpu/env.tsc), a RAM block "
                     "(ram/pc.ram), a disk (block/vda), all devices (devices), the machine's type (machine); * and ? "
                     "stand for any characters. May be given several times")
        ->type_name("NAME")
        ->allow_extra_args(false);
    command
        ->add_option("--limit", options->limit,
                     "Show that many differences of each block, disk and device section; 0 for all")
        ->capture_default_str();
    command->add_flag("--json", options->json, "One JSON document instead of lines");
    command
        ->add_option("--temporary", options->directory,
                     "Where memory goes that a stream has only as changes (XBZRLE), while this runs")
        ->type_name("DIR");
    command->footer(
        "Both streams are read as a destination would, to their end. Pages and chunks are compared by their contents, "
        "wherever in the streams they lie; those that were never sent count as zeros. The fields of devices are those "
        "of the description at the end of each stream. Nothing is printed when there is no difference.\n"
        "The exit status is 0 for machines that are the same, 1 for different ones, 2 for trouble.\n"
        "Examples:\n  godwit diff before.stream after.stream\n"
        "  godwit diff before.stream after.stream --ignore ram --ignore timer --ignore 'cpu/env.tsc*'\n"
        "  godwit diff before.stream after.stream --json | jq '.devices[].differences[]'");
    command->callback([options, &status] { status = finish_answer(diff_files(*options)); });
}

}  // namespace godwit
