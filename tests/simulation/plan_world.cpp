#include <algorithm>

#include "plan_parts.h"

namespace godwit::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

void choose_memory(Plan& plan, Random& random) {
    const std::uint64_t blocks = random.percent(70) ? 1 : random.between(2, 3);
    for (std::uint64_t i = 0; i < blocks; ++i) {
        const std::uint64_t most = random.percent(4) ? 512 : random.percent(15) ? 200 : 72;
        plan.source.blocks.push_back(BlockPlan{fmt::format("sim.ram{}", i), random.spread(1, most)});
    }
    plan.destination.blocks = plan.source.blocks;
    if (blocks > 1 && random.percent(30)) {
        std::reverse(plan.destination.blocks.begin(), plan.destination.blocks.end());
    }
    plan.source.content = InitialContent::fresh;
    const std::uint64_t content = random.below(4);
    plan.destination.content = content < 2    ? InitialContent::fresh
                               : content == 2 ? InitialContent::zeros
                                              : InitialContent::garbage;
    plan.source.knows_holes = random.percent(50);
    plan.destination.knows_holes = random.percent(50);
    plan.source.dirty.clears_in_collect = random.percent(50);
    plan.source.dirty.all_set_at_start = random.percent(50);
    plan.destination.dirty = plan.source.dirty;
}

void choose_workload(Plan& plan, Random& random) {
    Workload& load = plan.workload;
    load.filled_percent = static_cast<unsigned>(random.below(101));
    load.hot_pages = random.percent(50) ? 0 : random.between(1, 16);
    load.pause = random_time(random, microseconds(5), milliseconds(4));
    load.pages_per_burst = static_cast<unsigned>(random.between(1, 4));
    load.zero_percent = random.percent(50) ? 0 : static_cast<unsigned>(random.below(60));
    load.repeat_percent = random.percent(70) ? 0 : static_cast<unsigned>(random.between(10, 60));
    load.total_writes = random.percent(10) ? 0 : random.spread(20, 2'000);
}

void choose_network(Plan& plan, Random& random) {
    for (PipeProperties& pipe : plan.link.pipes) {
        pipe.bytes_per_s = random.spread(200'000, 2'000'000'000);
        pipe.latency = random_time(random, microseconds(5), milliseconds(10));
        pipe.capacity_bytes = static_cast<std::size_t>(random.spread(2048, 300'000));
    }
    // What goes back is small, but must fit while the source is not reading.
    plan.link.pipes[1].capacity_bytes += 8192;
    for (PipeFaults& faults : plan.link.faults) {
        faults.short_call_percent = random.percent(60) ? 0 : static_cast<unsigned>(random.below(40));
    }
    plan.link.reset_discards = random.percent(30);
    plan.link.close_resets = random.percent(60);
    plan.link.strict_deadlines = random.percent(50);
    plan.connect_time = random_time(random, microseconds(10), milliseconds(50));
    plan.source_start_delay = random.percent(80) ? milliseconds(1) : Duration(milliseconds(random.below(40)));
}

void choose_style(Plan& plan, Random& random) {
    static constexpr unsigned chances[] = {0, 1, 3, 10, 30};
    plan.style.preempt_percent = chances[random.below(5)];
    plan.style.priorities = random.percent(25);
    plan.style.step_cost_limit = std::chrono::nanoseconds(random.spread(50, 5'000));
}

void choose_machines(Plan& plan, Random& random) {
    for (NodePlan* node : {&plan.source, &plan.destination}) {
        node->machine.stop_cost = random_time(random, microseconds(2), milliseconds(5));
        node->machine.start_cost = random_time(random, microseconds(2), milliseconds(5));
    }
    plan.source_state = random.percent(12) ? RunState::paused : RunState::running;
}

void choose_parameters(Plan& plan, Random& random) {
    MigrationParameters& parameters = plan.parameters;
    parameters.max_bandwidth_bytes_per_s = random.percent(25) ? random.spread(1'000'000, 100'000'000) : 0;
    parameters.downtime_limit_ms = random.percent(50) ? 300 : random.spread(1, 600);
    parameters.return_path = !random.percent(10);
    parameters.legacy_stream = random.percent(8);
    parameters.pause_before_switchover = random.percent(10);
    plan.operator_pause =
        random.percent(50) ? Duration::zero() : random_time(random, milliseconds(1), milliseconds(12'000));
    parameters.switchover_policy = random.percent(20) ? SwitchoverPolicy::first_fit : SwitchoverPolicy::minimum;
    parameters.avail_switchover_bandwidth_bytes_per_s =
        random.percent(10) ? random.spread(1'000'000, 1'000'000'000) : 0;
    parameters.auto_converge = random.percent(25);
    parameters.xbzrle = random.percent(30);
    parameters.xbzrle_cache_size_bytes = page_bytes << random.below(9);
    plan.link.bidirectional = !random.percent(5);
    plan.destination_parameters = parameters;
    plan.poll_interval = random_time(random, milliseconds(2), milliseconds(50));
}

}  // namespace

Duration random_time(Random& random, Duration low, Duration high) {
    return Duration(static_cast<std::int64_t>(random.spread(
        static_cast<std::uint64_t>(std::max<std::int64_t>(low.count(), 1)), static_cast<std::uint64_t>(high.count()))));
}

void shorten_deadlines(MigrationParameters& parameters, Random& random) {
    parameters.connect_timeout_ms = random.between(100, 3'000);
    parameters.handshake_timeout_ms = random.between(200, 3'000);
    parameters.idle_timeout_ms = random.between(200, 4'000);
    parameters.switchover_timeout_ms = random.between(300, 4'000);
}

Plan make_base(std::uint64_t seed, Random& random) {
    Plan plan;
    plan.seed = seed;
    choose_style(plan, random);
    choose_memory(plan, random);
    choose_workload(plan, random);
    choose_network(plan, random);
    choose_machines(plan, random);
    choose_parameters(plan, random);
    return plan;
}

}  // namespace godwit::sim
