// `godwit diff` of any two files. First two bytes: how the files are read, and how the size of the first one divides
// what follows (in 256ths).
#include <string>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_folder.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "monitor/json.h"
#include "stream/testing.h"
#include "tools/difference_report.h"

namespace {

using namespace godwit;
using namespace godwit::fuzz;

using Machine = std::unique_ptr<SavedMachine>;

Result<Machine> read(const FuzzFolder& folder, const std::string& name, std::span<const std::byte> bytes,
                     std::uint8_t choice) {
    folder.write(name, bytes);
    Conduct conduct = Conduct::from(choice);
    conduct.bidirectional = false;
    testing::ManualClock clock;
    std::vector<std::byte> answers;
    FuzzChannel channel(bytes, conduct, answers);
    return SavedMachine::read(folder / name, folder.path(), channel, clock);
}

/// Whether they differ; nothing where they cannot be compared.
std::optional<bool> differ(const SavedMachine& a, const SavedMachine& b, const IgnoredNames& ignored) {
    const auto difference = compare_machines(a, b, ignored, 5);
    if (!difference) {
        GODWIT_ASSERT(printable(difference.error().message) == difference.error().message,
                      "an error that is not fit to print");
        return std::nullopt;
    }
    std::size_t lines = 0;
    tell_difference(*difference, [&](const std::string& line) {
        ++lines;
        GODWIT_ASSERT(printable(line) == line, "a line that is not fit to print");
    });
    GODWIT_ASSERT((lines > 0) == difference->exists(), "a difference that is not told");
    std::string text;
    write_difference(*difference, [&](std::string_view piece) { text += piece; });
    GODWIT_ASSERT(Json::parse(text, nullptr, false).is_object(), "no JSON document");
    return difference->exists();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const FuzzFolder folder;
    static const IgnoredNames some({"ram/r*", "dev:0", "machine", "block/vd?"});
    Input input(data, size);
    const std::uint8_t choice = input.choice();
    const std::size_t first_bytes = input.choice() * input.rest().size() / 256;
    const auto a = read(folder, "a", input.rest().first(first_bytes), choice);
    const auto b = read(folder, "b", input.rest().subspan(first_bytes), choice);
    for (const auto* machine : {&a, &b}) {
        if (*machine) {
            const auto different = differ(***machine, ***machine, {});
            GODWIT_ASSERT(!different || !*different, "a machine differs from itself");
        } else {
            GODWIT_ASSERT(printable(machine->error().message) == machine->error().message,
                          "an error that is not fit to print");
        }
    }
    if (a && b) {
        const auto different = differ(**a, **b, {});
        GODWIT_ASSERT(different == differ(**b, **a, {}), "the order matters");
        const auto in_part = differ(**a, **b, some);
        GODWIT_ASSERT(!different || *different || !in_part || !*in_part, "a part of what is the same differs");
    }
    return 0;
}
