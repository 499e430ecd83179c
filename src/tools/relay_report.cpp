#include "tools/relay_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/format_bytes.h"
#include "stream/format.h"

namespace godwit {

namespace {

using Json = nlohmann::ordered_json;

/// Offset with flags and the one byte that fills the page.
constexpr std::uint64_t zero_record_bytes = format::page_head_bytes + 1;

double ms(Duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

double bytes_per_s(const RelayReport& report) {
    const double seconds = std::chrono::duration<double>(report.time).count();
    return seconds > 0 ? static_cast<double>(report.forward_bytes) / seconds : 0;
}

std::string block_text(const StreamReport::Block& block, bool again_known) {
    const RamCensus::Counts& counts = block.counts;
    std::string text = fmt::format("RAM block \"{}\" of {}: {} whole pages ({}), {} zero pages ({})", block.id,
                                   format_bytes(static_cast<double>(block.size.value())), counts.normal,
                                   format_bytes(static_cast<double>(counts.normal_bytes)), counts.zero,
                                   format_bytes(static_cast<double>(counts.zero * zero_record_bytes)));
    if (counts.xbzrle > 0) {
        text += fmt::format(", {} deltas ({})", counts.xbzrle, format_bytes(static_cast<double>(counts.xbzrle_bytes)));
    }
    return text + fmt::format("; {}{} of them sent again\n", again_known ? "" : "at least ", block.pages_again);
}

std::string devices_text(const std::vector<StreamReport::Device>& devices) {
    std::vector<std::string> names;
    for (const StreamReport::Device& device : devices) {
        names.push_back(device.instance == 0 ? device.name : fmt::format("{}/{}", device.name, device.instance));
    }
    return fmt::format("{} device sections: {}\n", names.size(), fmt::join(names, ", "));
}

std::string answers_text(const ReturnReport& answers) {
    std::vector<std::string> said;
    for (const auto& [name, count] : answers.messages) {
        const std::string value = name == "SHUT" ? fmt::format("({})", answers.shut.value_or(0))
                                  : name == "PONG"
                                      ? fmt::format(" x{}, last 0x{:x}", count, answers.last_pong.value_or(0))
                                  : count > 1 ? fmt::format(" x{}", count)
                                              : "";
        said.push_back(name + value);
    }
    return said.empty() ? "the destination said nothing\n"
                        : fmt::format("the destination said: {}\n", fmt::join(said, "; "));
}

std::string undecoded_text(const char* what, const std::optional<Undecoded>& undecoded) {
    return undecoded ? fmt::format("{}: undecoded from byte {} on: {}\n", what, undecoded->position,
                                   undecoded->reason.message)
                     : "";
}

template <typename Value>
Json optional_json(const std::optional<Value>& value) {
    return value ? Json(*value) : Json();
}

Json undecoded_json(const std::optional<Undecoded>& undecoded) {
    return undecoded ? Json{{"position", undecoded->position},
                            {"code", std::string(to_string(undecoded->reason.code))},
                            {"reason", undecoded->reason.message}}
                     : Json();
}

Json block_json(const StreamReport::Block& block) {
    return {{"id", block.id},
            {"size", block.size.value()},
            {"whole-pages", block.counts.normal},
            {"whole-bytes", block.counts.normal_bytes},
            {"zero-pages", block.counts.zero},
            {"zero-bytes", block.counts.zero * zero_record_bytes},
            {"delta-pages", block.counts.xbzrle},
            {"delta-bytes", block.counts.xbzrle_bytes},
            {"pages-again", block.pages_again}};
}

Json stream_json(const StreamReport& stream) {
    Json blocks = Json::array();
    for (const StreamReport::Block& block : stream.blocks) {
        blocks.push_back(block_json(block));
    }
    Json disks = Json::array();
    for (const DiskCensus::Disk& disk : stream.disks) {
        disks.push_back({{"id", disk.name}, {"whole-chunks", disk.counts.data}, {"zero-chunks", disk.counts.zero}});
    }
    Json devices = Json::array();
    for (const StreamReport::Device& device : stream.devices) {
        devices.push_back({{"name", device.name}, {"instance", device.instance}, {"bytes", device.bytes}});
    }
    return {{"machine", stream.machine_type},
            {"complete", stream.complete},
            {"committed", stream.committed.has_value()},
            {"return-path", stream.return_path_opened},
            {"sections",
             {{"start", stream.start_sections},
              {"part", stream.part_sections},
              {"end", stream.end_sections},
              {"full", stream.devices.size()}}},
            {"commands", stream.commands},
            {"pings", stream.pings},
            {"passes", stream.passes},
            {"pages-again-known", stream.pages_again_known},
            {"blocks", std::move(blocks)},
            {"disks", std::move(disks)},
            {"devices", std::move(devices)},
            {"undecoded", undecoded_json(stream.undecoded)}};
}

Json answers_json(const ReturnReport& answers) {
    return {{"messages", answers.messages},
            {"last-pong", optional_json(answers.last_pong)},
            {"shut", optional_json(answers.shut)},
            {"error", optional_json(answers.error)},
            {"undecoded", undecoded_json(answers.undecoded)}};
}

Json time_json(const std::optional<Duration>& time) {
    return time ? Json(ms(*time)) : Json();
}

Json error_json(const std::optional<Error>& error) {
    return error ? Json{{"code", std::string(to_string(error->code))}, {"message", error->message}} : Json();
}

}  // namespace

std::optional<Duration> switchover_time(const RelayReport& report) {
    if (!report.stream.switchover_began || !report.stream.machine_ended) {
        return std::nullopt;
    }
    return *report.stream.machine_ended - *report.stream.switchover_began;
}

std::optional<Duration> answer_time(const RelayReport& report) {
    const ReturnReport& answers = report.answers;
    const std::optional<Instant> good = answers.running      ? answers.running
                                        : answers.shut == 0U ? answers.shut_came
                                                             : std::nullopt;
    if (!report.stream.switchover_began || !good) {
        return std::nullopt;
    }
    return *good - *report.stream.switchover_began;
}

std::string relay_report_text(const RelayReport& report) {
    const StreamReport& stream = report.stream;
    std::string text = fmt::format("{} to {}: {} forward, {} backward in {:.3f} s, {}/s\n", report.source,
                                   report.destination, format_bytes(static_cast<double>(report.forward_bytes)),
                                   format_bytes(static_cast<double>(report.backward_bytes)), ms(report.time) / 1e3,
                                   format_bytes(bytes_per_s(report)));
    text +=
        fmt::format("machine \"{}\": {} START, {} PART, {} END sections, {} passes over memory\n", stream.machine_type,
                    stream.start_sections, stream.part_sections, stream.end_sections, stream.passes);
    for (const StreamReport::Block& block : stream.blocks) {
        text += block_text(block, stream.pages_again_known);
    }
    for (const DiskCensus::Disk& disk : stream.disks) {
        text += fmt::format("disk \"{}\": {}\n", disk.name, disk.counts.text());
    }
    if (!stream.devices.empty()) {
        text += devices_text(stream.devices);
    }
    if (const auto time = switchover_time(report)) {
        const auto answer = answer_time(report);
        text += fmt::format("from the guest's stop to the end of the machine {:.2f} ms{}\n", ms(*time),
                            answer ? fmt::format(", to the destination's word {:.2f} ms", ms(*answer)) : "");
    }
    text += answers_text(report.answers);
    if (report.unheard_bytes > 0) {
        text += fmt::format("{} bytes of the destination came after the source had gone\n", report.unheard_bytes);
    }
    return text + undecoded_text("stream", stream.undecoded) + undecoded_text("return path", report.answers.undecoded);
}

std::string relay_report_json(const RelayReport& report) {
    const Json json = {{"source", report.source},
                       {"destination", report.destination},
                       {"forward-bytes", report.forward_bytes},
                       {"backward-bytes", report.backward_bytes},
                       {"unheard-bytes", report.unheard_bytes},
                       {"time-ms", ms(report.time)},
                       {"bytes-per-second", bytes_per_s(report)},
                       {"stop-to-end-ms", time_json(switchover_time(report))},
                       {"stop-to-answer-ms", time_json(answer_time(report))},
                       {"stream", stream_json(report.stream)},
                       {"answers", answers_json(report.answers)},
                       {"failure", error_json(report.failure)},
                       {"file-error", error_json(report.file_error)}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace godwit
