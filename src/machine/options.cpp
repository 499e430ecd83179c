#include "machine/options.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

namespace godwit {

namespace {

constexpr int mebibyte_shift = 20;
constexpr std::size_t max_type_name_bytes = 255;

std::optional<int> suffix_shift(std::string_view suffix) {
    if (suffix.empty()) {
        return mebibyte_shift;
    }
    if (suffix.size() != 1) {
        return std::nullopt;
    }
    switch (suffix.front()) {
        case 'B':
        case 'b':
            return 0;
        case 'K':
        case 'k':
            return 10;
        case 'M':
        case 'm':
            return mebibyte_shift;
        case 'G':
        case 'g':
            return 30;
        case 'T':
        case 't':
            return 40;
        default:
            return std::nullopt;
    }
}

}  // namespace

std::string_view to_string(MachineKind kind) {
    return kind == MachineKind::none ? "none" : "microvm";
}

Result<MachineKind> parse_machine_kind(std::string_view text) {
    if (text == "microvm") {
        return MachineKind::microvm;
    }
    if (text == "none") {
        return MachineKind::none;
    }
    return fail(ErrorCode::invalid_argument, fmt::format("unknown machine type '{}'", text), "use microvm or none");
}

Result<CpuModel> parse_cpu_model(std::string_view text) {
    if (text == "qemu64") {
        return CpuModel::qemu64;
    }
    if (text == "kvm64") {
        return CpuModel::kvm64;
    }
    if (text == "host") {
        return CpuModel::host;
    }
    return fail(ErrorCode::invalid_argument, fmt::format("unknown CPU model '{}'", text), "use qemu64, kvm64 or host");
}

Result<AcceleratorKind> parse_accelerator(std::string_view text) {
    if (text == "auto") {
        return AcceleratorKind::automatic;
    }
    if (text == "kvm") {
        return AcceleratorKind::kvm;
    }
    if (text == "emulate") {
        return AcceleratorKind::emulator;
    }
    return fail(ErrorCode::invalid_argument, fmt::format("unknown accelerator '{}'", text), "use auto, kvm or emulate");
}

Result<VirtioVersion> parse_virtio_version(std::string_view text) {
    if (text == "legacy") {
        return VirtioVersion::legacy;
    }
    if (text == "modern") {
        return VirtioVersion::modern;
    }
    return fail(ErrorCode::invalid_argument, fmt::format("unknown version of virtio '{}'", text),
                "use legacy or modern");
}

Result<ByteCount> parse_memory_size(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto digits = static_cast<std::size_t>(end - text.data());
    const std::optional<int> shift = suffix_shift(text.substr(digits));
    if (error == std::errc::result_out_of_range ||
        (error == std::errc{} && shift && number > (std::numeric_limits<std::uint64_t>::max() >> *shift))) {
        return fail(ErrorCode::invalid_argument, fmt::format("the memory size '{}' is too large", text));
    }
    if (error != std::errc{} || !shift) {
        return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a memory size", text),
                    "give a number with B, K, M, G or T; without a suffix it counts MiB");
    }
    return ByteCount(number << *shift);
}

Result<SerialSpec> parse_serial_spec(std::string_view text) {
    if (text == "none") {
        return SerialSpec{SerialSpec::Kind::none};
    }
    if (text == "stdio") {
        return SerialSpec{SerialSpec::Kind::stdio};
    }
    const std::size_t colon = text.find(':');
    const std::string_view scheme = text.substr(0, colon);
    const std::string_view path = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    if (!path.empty() && scheme == "file") {
        return SerialSpec{SerialSpec::Kind::file, std::string(path)};
    }
    if (!path.empty() && scheme == "unix") {
        return SerialSpec{SerialSpec::Kind::unix_socket, std::string(path)};
    }
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' does not say where the serial port leads", text),
                "use none, stdio, file:PATH or unix:PATH");
}

namespace {

Status validate_microvm(const MachineOptions& options) {
    if (options.cpus < 1 || options.cpus > max_vcpus) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} virtual CPUs are out of range: 1 to {}", options.cpus, max_vcpus));
    }
    if (options.memory < ByteCount(std::uint64_t{1} << 21)) {
        return fail(ErrorCode::invalid_argument, "a microvm needs at least 2 MiB of memory");
    }
    if (options.kernel.empty() && !options.incoming) {
        return fail(ErrorCode::invalid_argument, "a microvm has nothing to run",
                    "give a kernel, or wait for a migration (incoming)");
    }
    return {};
}

}  // namespace

Status validate(const MachineOptions& options) {
    if (options.memory.value() == 0 || options.memory.value() % page_bytes != 0 || options.memory > max_memory) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("a memory of {} bytes is not possible", options.memory.value()),
                    "give a multiple of 4 KiB, at most 4 TiB");
    }
    if (options.type_name.size() > max_type_name_bytes) {
        return fail(ErrorCode::invalid_argument, fmt::format("a machine name of {} bytes is too long: at most {}",
                                                             options.type_name.size(), max_type_name_bytes));
    }
    if (options.kind == MachineKind::microvm) {
        return validate_microvm(options);
    }
    if (!options.kernel.empty()) {
        return fail(ErrorCode::invalid_argument, "a machine of type none has no CPU that could run a kernel",
                    "use --machine microvm");
    }
    return {};
}

}  // namespace godwit
