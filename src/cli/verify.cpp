#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/printable.h"
#include "cli/output.h"
#include "cli/stream_file.h"
#include "cli/subcommands.h"
#include "io/monotonic_clock.h"
#include "tools/stream_inspector.h"
#include "tools/stream_verdict.h"

namespace godwit {

namespace {

struct VerifyOptions {
    std::string file;
    std::string machine;
};

void tell(const std::string& file, const StreamVerdict& verdict) {
    const bool good = verdict.problems().empty();
    put_output(fmt::format("{}: {}\n", printable(file), good ? "good" : "refused"));
    for (const std::string& problem : verdict.problems()) {
        put_output(fmt::format("  refused: {}\n", problem));
    }
    for (const std::string& note : verdict.notes()) {
        put_output(fmt::format("  note: {}\n", note));
    }
    put_output(fmt::format("  {}\n", verdict.contents()));
}

/// Whether the stream is good.
Result<bool> verify_file(const VerifyOptions& options) {
    std::optional<MachineKind> machine;
    if (!options.machine.empty()) {
        const Result<MachineKind> kind = parse_machine_kind(options.machine);
        if (!kind) {
            return fail(kind.error());
        }
        machine = *kind;
    }
    MonotonicClock clock;
    const Result<std::unique_ptr<Channel>> channel = open_stream_file(options.file, clock);
    if (!channel) {
        return fail(channel.error());
    }
    PageIndex pages(nullptr);
    StreamVerdict verdict(pages, machine);
    StreamInspector inspector(**channel, clock, verdict, {.ram = &pages});
    const Status inspected = inspector.inspect();
    if (!inspected && (inspected.error().code == ErrorCode::io || pages.obstacle() != nullptr)) {
        return fail(inspected.error());
    }
    verdict.finish(inspected);
    tell(options.file, verdict);
    return verdict.problems().empty();
}

}  // namespace

void add_verify_command(CLI::App& app, int& status) {
    auto options = std::make_shared<VerifyOptions>();
    CLI::App* command = app.add_subcommand("verify", "Judge whether a destination would take a saved stream");
    command->add_option("FILE", options->file, "The stream, as saved by `migrate file:FILE`; - is the standard input")
        ->required();
    command->add_option(
        "--machine", options->machine,
        "Also judge it as this machine of godwit would, microvm or none: its RAM blocks, and each device "
        "section by the layout of the device that it has");
    command->footer(
        "Without --machine everything is checked that holds for each destination: sections, their ids, versions and "
        "footers, commands, each page's place in the list of RAM blocks, that changes (XBZRLE) are of pages that came "
        "before, that device sections fit the description at the end, the run state, the end. Not checked is what only "
        "a machine can say: the values in the registers of a CPU, the features of a disk and its size.\n"
        "'godwit inspect' shows what is in a stream and judges only whether it can be read.\n"
        "The exit status is 0 for a good stream, 1 for one that would be refused, 2 for trouble with the file or the "
        "command line.\n"
        "Examples:\n  godwit verify vm1.stream\n  godwit verify vm1.stream --machine microvm");
    command->callback([options, &status] { status = finish_answer(verify_file(*options)); });
}

}  // namespace godwit
