#include "cli/migration_watch.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

namespace godwit {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_interval{20};
constexpr milliseconds longest_interval{200};

bool has_ended(const std::string& status) {
    return status == "completed" || status == "failed" || status == "cancelled";
}

}  // namespace

std::string migration_status(const Json& report) {
    const auto status = report.find("status");
    return status != report.end() && status->is_string() ? status->get<std::string>() : "";
}

Result<Json> MigrationWatch::run() {
    // A short migration is seen in detail, a long one is asked about less often.
    for (auto interval = first_interval;; interval = std::min(interval * 5 / 4, longest_interval)) {
        auto report = client_.execute("query-migrate");
        if (!report) {
            return report;
        }
        if (!report->is_object()) {
            return fail(ErrorCode::stream_corrupt, "the answer to query-migrate is not an object");
        }
        if (has_ended(migration_status(*report))) {
            return report;
        }
        const auto now = Clock::now();
        printer_.show(*report, now);
        take_signal();
        if (timeout_ && now - began_ >= *timeout_) {
            want_cancel("timeout");
        }
        if (auto status = cancel(); !status) {
            return fail(status.error());
        }
        wait(now + interval);
    }
}

void MigrationWatch::take_signal() {
    if (const auto signal = signals_.take()) {
        want_cancel(signal_name(*signal));
    }
}

void MigrationWatch::want_cancel(std::string why) {
    if (!cancel_reason_.empty()) {
        return;
    }
    printer_.finish();
    fmt::print(stderr, "{}: cancelling the migration\n", why);
    cancel_reason_ = std::move(why);
}

Status MigrationWatch::cancel() {
    if (cancel_reason_.empty() || cancel_sent_) {
        return {};
    }
    cancel_sent_ = true;
    const auto answer = client_.execute("migrate_cancel");
    if (!answer && answer.error().code == ErrorCode::peer_failed) {
        fmt::print(stderr, "the migration cannot be cancelled any more: {}\n", answer.error().message);
        return {};
    }
    return answer ? Status() : fail(answer.error());
}

void MigrationWatch::wait(Clock::time_point until) const {
    pollfd entry{signals_.fd(), POLLIN, 0};
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    ::poll(&entry, 1, static_cast<int>(std::max<long>(left, 0)));
}

}  // namespace godwit
