// A destination that reads whatever comes. First byte: how the connection behaves.
#include <algorithm>

#include "base/assert.h"
#include "base/printable.h"
#include "fuzz/fuzz_channel.h"
#include "fuzz/fuzz_machine.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/input.h"
#include "fuzz/one_thread.h"
#include "godwit/migration.h"

namespace godwit::fuzz {
namespace {

class FuzzOpener : public ChannelOpener {
public:
    explicit FuzzOpener(std::unique_ptr<Channel> channel) : channel_(std::move(channel)) {}
    Result<std::unique_ptr<Channel>> open(Instant) override { return std::move(channel_); }
    void cancel() override {}

private:
    std::unique_ptr<Channel> channel_;
};

bool contains(std::span<const std::byte> bytes, std::span<const std::uint8_t> part) {
    const auto wanted = std::as_bytes(part);
    return std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()) != bytes.end();
}

/// LOADED on the way back, and what has to follow it on the way here.
constexpr std::array<std::uint8_t, 4> loaded_message{0x80, 0x02, 0x00, 0x00};
constexpr std::array<std::uint8_t, 5> commit_command{0x08, 0x80, 0x01, 0x00, 0x00};

void check_outcome(const FuzzMachine& machine, const MigrationStatistics& figures, std::span<const std::byte> stream,
                   std::span<const std::byte> answers) {
    const bool completed = figures.state == MigrationState::completed;
    GODWIT_ASSERT(completed || figures.state == MigrationState::failed, "ended as {}", to_string(figures.state));
    GODWIT_ASSERT(machine.starts == (completed ? 1 : 0), "the guest was started {} times", machine.starts);
    GODWIT_ASSERT(completed != figures.error.has_value(), "an error after success, or none after a failure");
    if (completed) {
        GODWIT_ASSERT(!contains(answers, loaded_message) || contains(stream, commit_command),
                      "the guest runs here without the commit");
        return;
    }
    GODWIT_ASSERT(machine.ownership_unknown == (figures.error->code == ErrorCode::handover_unknown),
                  "the machine and the error do not agree about the owner: {}", figures.error->text());
    GODWIT_ASSERT(!figures.error->message.empty() && printable(figures.error->message) == figures.error->message,
                  "an error without a message fit to print");
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::fuzz;
    Input input(data, size);
    const Conduct conduct = Conduct::from(input.choice());
    testing::ManualClock clock;
    FlagWaiter waiter;
    OneThread executor;
    CheckedLog log;
    FuzzMachine machine;
    const Environment environment{clock,
                                  waiter,
                                  executor,
                                  machine,
                                  machine,
                                  log,
                                  {&machine.device},
                                  machine_type,
                                  nullptr,
                                  {{FuzzDisk::name, &machine.disk}}};
    std::vector<std::byte> answers;
    IncomingMigration migration(environment, MigrationParameters{});
    const Status started =
        migration.start(std::make_unique<FuzzOpener>(std::make_unique<FuzzChannel>(input.rest(), conduct, answers)));
    GODWIT_ASSERT(started.has_value(), "{}", started.error().text());
    executor.run_posted();
    check_outcome(machine, migration.statistics(), input.rest(), answers);
    return 0;
}
