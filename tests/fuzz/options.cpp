// The texts of command line options, and the sizes, numbers and words of the human monitor. First byte: which option.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "cli/migrate_settings.h"
#include "cli/monitor_address.h"
#include "cli/step_signal.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "io/disk_spec.h"
#include "machine/options.h"
#include "monitor/hmp_parser.h"

namespace {

using namespace godwit;

/// What was refused has a reason.
template <typename T>
bool accepted(const Result<T>& result) {
    GODWIT_ASSERT(result || !result.error().message.empty(), "an error without words");
    return result.has_value();
}

std::string doubled(std::string_view text) {
    std::string result;
    for (const char letter : text) {
        result += letter;
        result += letter == ',' ? "," : "";
    }
    return result;
}

/// The option that says the same, without its faults.
std::string disk_text(const DiskSpec& spec) {
    std::string text = "id=" + spec.name;
    text += spec.file.empty() ? ",nbd=" + doubled(spec.nbd) : ",file=" + doubled(spec.file);
    text += spec.base.empty() ? "" : ",base=" + doubled(spec.base);
    return text + (spec.read_only ? ",readonly" : ",readonly=off");
}

void check_faults(const std::vector<FaultRule>& rules) {
    GODWIT_ASSERT(rules.size() <= max_fault_rules, "{} rules", rules.size());
    for (const FaultRule& rule : rules) {
        GODWIT_ASSERT(rule.delay >= Duration::zero() && rule.delay <= max_fault_delay, "a delay beyond its limit");
        GODWIT_ASSERT(rule.error_number >= 0 && rule.error_number <= 4095, "the error {}", rule.error_number);
        GODWIT_ASSERT(rule.error_number == 0 || rule.delay == Duration::zero(), "a rule with two deeds");
        GODWIT_ASSERT(to_string(rule.operation) != "unknown", "a rule for nothing");
    }
}

void check_disk(std::string_view text) {
    const auto spec = parse_disk_spec(text);
    if (!accepted(spec)) {
        return;
    }
    GODWIT_ASSERT(!spec->name.empty() && spec->name.size() <= 64, "a name of {} bytes", spec->name.size());
    GODWIT_ASSERT(spec->file.empty() != spec->nbd.empty(), "a disk that is in no or two places");
    check_faults(spec->faults);
    const auto again = parse_disk_spec(disk_text(*spec));
    GODWIT_ASSERT(again && again->name == spec->name && again->file == spec->file && again->nbd == spec->nbd &&
                      again->base == spec->base && again->read_only == spec->read_only,
                  "'{}' is read back as something else", disk_text(*spec));
    const std::array<DiskSpec, 2> twice{*spec, *again};
    GODWIT_ASSERT(!check_disk_names(twice), "two disks of one name");
}

void check_memory_size(std::string_view text) {
    const auto size = parse_memory_size(text);
    if (accepted(size)) {
        GODWIT_ASSERT(parse_memory_size(std::to_string(size->value()) + "B") == *size, "another size");
        MachineOptions options;
        options.memory = *size;
        options.incoming = true;
        GODWIT_ASSERT(!validate(options) || *size <= max_memory, "a machine of {} bytes", size->value());
    }
}

void check_monitor_size(std::string_view text) {
    const auto size = parse_size(text, 1);
    if (accepted(size)) {
        GODWIT_ASSERT(parse_size(std::to_string(*size), 1) == *size, "another size");
    }
    // What both understand is the same: the memory of a machine counts whole numbers of MiB.
    const auto memory = parse_memory_size(text);
    const auto in_mebibytes = parse_size(text, std::uint64_t{1} << 20);
    GODWIT_ASSERT(!memory || !in_mebibytes || memory->value() == *in_mebibytes, "'{}' has two meanings", text);
}

void check_seconds(std::string_view text) {
    const auto seconds = parse_seconds(text);
    GODWIT_ASSERT(!accepted(seconds) || *seconds >= 0, "a negative time");
    if (accepted(parse_switch(text, false))) {
        GODWIT_ASSERT(parse_switch(text, true).has_value(), "a word that is unknown among more words");
    }
}

void check_serial(std::string_view text) {
    const auto serial = parse_serial_spec(text);
    if (accepted(serial)) {
        const bool needs_path = serial->kind == SerialSpec::Kind::file || serial->kind == SerialSpec::Kind::unix_socket;
        GODWIT_ASSERT(serial->path.empty() != needs_path, "the path '{}'", serial->path);
    }
}

void check_monitors(std::string_view text) {
    const auto qmp = parse_qmp_address(text);
    const auto monitor = parse_monitor_address(text);
    accepted(qmp);
    if (accepted(monitor)) {
        GODWIT_ASSERT(monitor->stdio || (qmp && *qmp == monitor->path), "the monitors are not of one mind");
        GODWIT_ASSERT(monitor->path.find(',') == std::string::npos, "a path with options");
    }
}

void check_names(std::string_view text) {
    if (const auto step = parse_handover_step(text); accepted(step)) {
        GODWIT_ASSERT(to_string(*step) == text, "another step");
    }
    if (const auto kind = parse_machine_kind(text); accepted(kind)) {
        GODWIT_ASSERT(to_string(*kind) == text, "another machine");
    }
    accepted(parse_cpu_model(text));
    accepted(parse_accelerator(text));
    accepted(parse_virtio_version(text));
}

void check_words(std::string_view text) {
    const auto words = split_words(text);
    GODWIT_ASSERT(!accepted(words) || words->size() <= text.size(), "more words than letters");
}

/// Each line is a setting.
void check_settings(std::string_view text) {
    static const Json capabilities = Json::parse(
        R"([{"capability":"xbzrle","state":false},{"capability":"block","state":true},{"capability":7},"odd"])");
    static const Json parameters =
        Json::parse(R"({"max-bandwidth":7,"flag":true,"tls-creds":"","ratio":1.5,"odd":null})");
    std::vector<std::string> settings;
    for (std::size_t at = 0; at <= text.size() && settings.size() < 16;) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        settings.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    const auto requests = setting_requests(settings, capabilities, parameters);
    if (!accepted(requests)) {
        return;
    }
    GODWIT_ASSERT(requests->capabilities.size() + requests->parameters.size() <= settings.size(), "more than was said");
    for (const Json& capability : requests->capabilities) {
        GODWIT_ASSERT(capability.at("state").is_boolean(), "a state that is none");
    }
    for (const auto& [name, value] : requests->parameters.items()) {
        const Json& present = parameters.at(name);
        GODWIT_ASSERT(present.is_boolean() == value.is_boolean() && present.is_number() == value.is_number(),
                      "'{}' has another type", name);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static constexpr std::array checks{check_disk,    check_memory_size, check_monitor_size,
                                       check_seconds, check_serial,      check_monitors,
                                       check_names,   check_words,       check_settings};
    fuzz::Input input(data, size);
    const auto check = checks.at(input.choice() % checks.size());
    const auto bytes = input.rest();
    check(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return 0;
}
