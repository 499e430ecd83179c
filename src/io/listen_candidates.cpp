// How the connections of a `ListenOpener` that say too little come to their end.
#include <fmt/format.h>

#include <string_view>

#include "base/assert.h"
#include "io/listen_opener.h"

namespace godwit {

namespace {

/// Of one that has not turned out to be a migration.
std::string_view shortcoming(IntroductionProgress progress) {
    switch (progress) {
        case IntroductionProgress::silent:
            return "it said nothing";
        case IntroductionProgress::begun:
            return "it did not come to the end of its first words";
        case IntroductionProgress::answered:
            break;
    }
    return "it did not come to the end of the handshake";
}

}  // namespace

/// A source is the one that has something to say: who is silent goes first, so that it takes more than connections to
/// push a source out. Among equals the oldest had the longest time.
void ListenOpener::make_room() {
    auto leaves = candidates_.end();
    for (auto candidate = candidates_.begin(); candidate != candidates_.end(); ++candidate) {
        if (candidate->was_looked_at && (leaves == candidates_.end() || candidate->progress < leaves->progress)) {
            leaves = candidate;
        }
    }
    GODWIT_ASSERT(leaves != candidates_.end(), "{} connections that nobody looked at", candidates_.size());
    log_stray(leaves->name, fmt::format("{}, and others came", shortcoming(leaves->progress)));
    candidates_.erase(leaves);
}

ListenOpener::Verdict ListenOpener::hear(Candidate& candidate) {
    const auto found = candidate.introduction->go_on(candidate.socket.get());
    candidate.progress = candidate.introduction->progress();
    if (!found) {
        log_stray(candidate.name, found.error().text(), LogLevel::warning);
        return Verdict::stray;
    }
    return *found ? Verdict::migration : Verdict::undecided;
}

void ListenOpener::close_silent_candidates() {
    const Instant now = clock_.now();
    candidates_.remove_if([&](const Candidate& candidate) {
        const bool silent = candidate.handshake_deadline <= now;
        if (silent) {
            log_stray(candidate.name, fmt::format("{} in time", shortcoming(candidate.progress)));
        }
        return silent;
    });
}

}  // namespace godwit
