// What comes to `godwit bench --listen`. First byte: how the connection behaves.
#include <array>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "stream/testing.h"
#include "tools/link_probe.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    Conduct conduct = Conduct::from(input.choice());
    conduct.bidirectional = true;
    const auto said = input.rest();
    testing::ManualClock clock;
    std::vector<std::byte> answers;
    FuzzChannel channel(said, conduct, answers);
    std::array<std::byte, 4096> memory{};
    const auto account = answer_probe(channel, clock, memory);
    GODWIT_ASSERT(answers.size() <= said.size(), "{} bytes in answer to {}", answers.size(), said.size());
    if (account) {
        GODWIT_ASSERT(account->received.value() <= said.size(), "more was counted than came");
    } else {
        const std::string text = account.error().text();
        GODWIT_ASSERT(!account.error().message.empty() && printable(text) == text, "an error not fit to print");
    }
    return 0;
}
