#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "godwit/clock.h"
#include "godwit/error.h"
#include "godwit/log.h"
#include "io/event_loop.h"
#include "machine/options.h"

namespace godwit {

/// Input that has come from outside and that the guest has not taken yet. Most that is kept; beyond it nothing is read.
inline constexpr std::size_t max_serial_input_bytes = 4096;
/// Output that waits for a slow reader of standard output; what goes beyond is dropped.
inline constexpr std::size_t max_serial_output_bytes = std::size_t{256} * 1024;

/// The far end of a serial line. The guest never waits for it: what cannot be delivered is dropped.
class SerialBackend {
public:
    /// On the event loop's thread.
    virtual ~SerialBackend() = default;

    /// Sends bytes out. Any thread; never blocks.
    virtual void send(std::span<const std::uint8_t> bytes) = 0;

    /// The next byte of input, if any. Any thread; never blocks.
    std::optional<std::uint8_t> take_input();
    /// `handler` is called on the event loop's thread when input has arrived. Set it before the loop runs.
    void set_input_handler(std::function<void()> handler) { input_handler_ = std::move(handler); }

protected:
    /// How much more input may be read now.
    std::size_t input_space() const;
    /// Queues input (at most `input_space`) and tells the handler. Event loop's thread.
    void add_input(std::span<const std::uint8_t> bytes);
    /// The queue was full and has room again. Any thread.
    virtual void input_drained() {}

private:
    std::function<void()> input_handler_;
    mutable std::mutex input_mutex_;
    std::deque<std::uint8_t> input_;  ///< under input_mutex_
};

/// Opens what `spec` names; gives a null pointer for none. Errors: `io`, `invalid_argument`.
Result<std::unique_ptr<SerialBackend>> open_serial_backend(const SerialSpec& spec, EventLoop& loop, Clock& clock,
                                                           Log& log);

}  // namespace godwit
