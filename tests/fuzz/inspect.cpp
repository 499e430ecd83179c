// `godwit inspect` on any file. First byte: how the file is read.
#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "stream/testing.h"
#include "tools/stream_inspector.h"
#include "tools/text_listing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    Conduct conduct = Conduct::from(input.choice());
    conduct.bidirectional = false;
    testing::ManualClock clock;
    std::vector<std::byte> answers;
    FuzzChannel channel(input.rest(), conduct, answers);
    std::size_t lines = 0;
    TextListing listing(
        [&](const std::string& line) {
            ++lines;
            GODWIT_ASSERT(printable(line) == line, "a line that is not fit to print");
        },
        TextListing::Detail{.fields = true});
    StreamInspector inspector(channel, clock, listing);
    const Status inspected = inspector.inspect();
    GODWIT_ASSERT(lines > 0, "nothing was printed");
    GODWIT_ASSERT(inspected || printable(inspected.error().message) == inspected.error().message,
                  "an error that is not fit to print");
    return 0;
}
