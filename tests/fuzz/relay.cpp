// The account that `godwit relay` keeps of any stream, its record of it, and its account of any answers. First byte:
// how the bytes come.
#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "stream/testing.h"
#include "tools/relay_report.h"
#include "tools/return_account.h"
#include "tools/stream_account.h"

namespace {

using namespace godwit;

/// Gives what is read to the recorder as well.
class RecordedChannel : public fuzz::FuzzChannel {
public:
    using FuzzChannel::FuzzChannel;
    StreamRecorder* recorder = nullptr;
    const StreamAccount* account = nullptr;
    std::uint64_t bytes = 0;

    Result<std::size_t> read_some(std::span<const MutableBuffer> buffers, Instant deadline) override {
        const auto got = FuzzChannel::read_some(buffers, deadline);
        std::size_t left = got.value_or(0);
        bytes += left;
        for (const MutableBuffer& buffer : buffers) {
            const std::size_t part = std::min(left, buffer.size());
            recorder->add(buffer.first(part), account->position());
            left -= part;
        }
        return got;
    }
};

void check_text(const std::string& text) {
    std::string lines = text;
    std::erase(lines, '\n');
    GODWIT_ASSERT(printable(lines) == lines, "a report that is not fit to print");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit::fuzz;
    Input input(data, size);
    Conduct conduct = Conduct::from(input.choice());
    conduct.bidirectional = false;
    const auto bytes = input.rest();
    testing::ManualClock clock;
    const auto arrival = [](std::uint64_t position) { return Instant(Duration(static_cast<std::int64_t>(position))); };
    std::vector<std::byte> nothing;
    MemoryChannel file;
    StreamRecorder recorder(file);
    RecordedChannel stream(bytes, conduct, nothing);
    StreamAccount account(stream, clock, arrival, &recorder);
    stream.recorder = &recorder;
    stream.account = &account;
    account.read();
    GODWIT_ASSERT(recorder.finish().has_value(), "a file in memory cannot fail");
    GODWIT_ASSERT(file.bytes().size() <= stream.bytes, "more was recorded than came");
    FuzzChannel answers(bytes, conduct, nothing);
    ReturnAccount said(answers, clock, arrival);
    said.read();
    RelayReport report;
    report.stream = account.take_report();
    report.answers = said.take_report();
    GODWIT_ASSERT(report.stream.complete != report.stream.undecoded.has_value(), "neither complete nor broken");
    GODWIT_ASSERT(report.stream.commands > 0 || file.bytes().size() == stream.bytes, "something else was left out");
    check_text(relay_report_text(report));
    check_text(relay_report_json(report));
    return 0;
}
