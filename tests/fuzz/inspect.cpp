// `godwit inspect`, with and without --json, and `godwit verify` on any file. First byte: how the file is read.
#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "monitor/json.h"
#include "stream/testing.h"
#include "tools/chunk_index.h"
#include "tools/json_listing.h"
#include "tools/stream_inspector.h"
#include "tools/stream_verdict.h"
#include "tools/text_listing.h"

namespace {

using namespace godwit;
using namespace godwit::fuzz;

Status inspect(const Input& whole, StreamListener& listener, StreamInspector::Takers takers = {}) {
    Input input = whole;
    Conduct conduct = Conduct::from(input.choice());
    conduct.bidirectional = false;
    testing::ManualClock clock;
    std::vector<std::byte> answers;
    FuzzChannel channel(input.rest(), conduct, answers);
    return StreamInspector(channel, clock, listener, takers).inspect();
}

Status inspect_as_text(const Input& input) {
    std::size_t lines = 0;
    TextListing listing(
        [&](const std::string& line) {
            ++lines;
            GODWIT_ASSERT(printable(line) == line, "a line that is not fit to print");
        },
        TextListing::Detail{.fields = true});
    Status inspected = inspect(input, listing);
    GODWIT_ASSERT(lines > 0, "nothing was printed");
    GODWIT_ASSERT(inspected || printable(inspected.error().message) == inspected.error().message,
                  "an error that is not fit to print");
    return inspected;
}

Status inspect_as_json(const Input& input) {
    std::string text;
    JsonListing listing([&](std::string_view piece) { text += piece; });
    ChunkIndex chunks;
    Status inspected = inspect(input, listing, {.disks = &chunks});
    listing.finish(inspected, {});
    const Json document = Json::parse(text, nullptr, false);
    GODWIT_ASSERT(document.is_object(), "no JSON document");
    GODWIT_ASSERT(document.contains("error") != inspected.has_value(), "an error that is not told");
    return inspected;
}

bool is_good(const Input& input, std::optional<MachineKind> machine) {
    PageIndex pages(nullptr);
    StreamVerdict verdict(pages, machine);
    verdict.finish(inspect(input, verdict, {.ram = &pages}));
    for (const auto& lines : {verdict.problems(), verdict.notes(), {verdict.contents()}}) {
        for (const std::string& line : lines) {
            GODWIT_ASSERT(printable(line) == line, "a line that is not fit to print");
        }
    }
    return verdict.problems().empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Input input(data, size);
    const Status text = inspect_as_text(input);
    const Status json = inspect_as_json(input);
    GODWIT_ASSERT(text || !json || json.error().code == ErrorCode::unsupported, "text and JSON are not of one mind");
    const bool good = is_good(input, std::nullopt);
    GODWIT_ASSERT(!good || text, "a stream that cannot be read is good");
    GODWIT_ASSERT(good || !is_good(input, MachineKind::microvm), "a machine takes what no destination takes");
    return 0;
}
