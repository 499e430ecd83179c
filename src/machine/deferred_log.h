#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "godwit/executor.h"
#include "godwit/log.h"

namespace godwit {

/// Passes lines on at once, and after `defer` from the event loop, soon. For those who write while the machine lock is
/// held and the guest stands still: a log may be slow, and the guest must not wait for it. What is written then after
/// the loop's end is lost.
class DeferredLog : public Log {
public:
    /// Both outlive this one, and `log` outlives the loop.
    DeferredLog(Executor& loop, Log& log) : loop_(loop), log_(log) {}
    void defer() { deferring_ = true; }
    void write(LogLevel level, std::string_view line) override {
        if (!deferring_) {
            return log_.write(level, line);
        }
        loop_.post([&log = log_, level, text = std::string(line)] { log.write(level, text); });
    }

private:
    Executor& loop_;
    Log& log_;
    std::atomic<bool> deferring_ = false;
};

}  // namespace godwit
