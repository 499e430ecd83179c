#include "machine/timer_state.h"

namespace godwit {

TimerState::TimerState()
    : layout_(VmStateBuilder<Values>("timer", 2)
                  .field("cpu_ticks_offset", &Values::cpu_ticks_offset)
                  .padding(8)
                  .field("cpu_clock_offset", &Values::cpu_clock_offset)
                  .build()) {}

}  // namespace godwit
