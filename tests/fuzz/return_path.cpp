// The source's ear. First byte: how the connection behaves.
#include "migration/return_path.h"

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "fuzz/one_thread.h"
#include "stream/format.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    const Conduct conduct = Conduct::from(input.choice());
    testing::ManualClock clock;
    OneThread executor;
    FlagSignal wake;
    std::vector<std::byte> answers;
    FuzzChannel channel(input.rest(), conduct, answers);
    ReturnPath return_path(channel, clock, wake);
    GODWIT_ASSERT(return_path.start(executor).has_value(), "no thread");
    return_path.join();
    const ReturnPath::Heard heard = return_path.heard();
    GODWIT_ASSERT(heard.ended.has_value() && heard.broken(), "the end was not heard");
    const Error reason = heard.reason();
    GODWIT_ASSERT(!reason.message.empty() && printable(reason.message) == reason.message,
                  "an error without a message fit to print");
    if (heard.manifest) {
        // Whatever it says, comparing it must be possible, and sending it on too.
        const Status fits =
            check_preflight(Manifest{"1", "fuzz", {{"ram", 4096, false}}, {{"device", 1}}}, *heard.manifest);
        GODWIT_ASSERT(fits || printable(fits.error().message) == fits.error().message, "a difference not fit to print");
        GODWIT_ASSERT(to_json(*heard.manifest).size() <= format::max_return_message_bytes, "the manifest has grown");
    }
    return 0;
}
