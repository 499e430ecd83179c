#include "migration/outgoing_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/printable.h"
#include "migration/protection.h"
#include "stream/commands.h"
#include "stream/vmstate_codec.h"

namespace godwit {

using format::SectionType;

OutgoingSession::OutgoingSession(const Environment& environment, StateMachine& states,
                                 const ParameterSource& parameters, std::unique_ptr<ChannelOpener> opener)
    : environment_(environment),
      states_(states),
      parameter_source_(parameters),
      parameters_(parameters.current_parameters()),
      opener_(std::move(opener)),
      wake_(environment.waiter.make_signal()),
      saver_(environment.memory, *environment.dirty_source) {
    figures_.started = now();
}

Status OutgoingSession::start(std::function<void()> ended) {
    ended_ = std::move(ended);
    Result<std::unique_ptr<Thread>> thread = environment_.executor.start_thread("migration", [this] { run(); });
    if (!thread) {
        give_up(thread.error());
        environment_.executor.post(ended_);  // a cancel may have come first: it is completed as always
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

void OutgoingSession::join() {
    if (thread_) {
        thread_->join();
        thread_.reset();
    }
}

void OutgoingSession::interrupt() {
    opener_->cancel();
    {
        const std::lock_guard lock(channel_mutex_);
        interrupted_ = true;
        if (channel_) {
            channel_->shutdown();
        }
    }
    wake_->notify();
}

void OutgoingSession::yank() {
    yanked_ = true;
    interrupt();
}

void OutgoingSession::run() {
    conclude(migrate());
    environment_.executor.post(ended_);
}

Status OutgoingSession::migrate() {
    for (auto step : {&OutgoingSession::connect, &OutgoingSession::introduce, &OutgoingSession::prepare,
                      &OutgoingSession::precopy, &OutgoingSession::switch_over}) {
        if (Status done = (this->*step)(); !done) {
            return done;
        }
    }
    return {};
}

Status OutgoingSession::connect() {
    Result<std::unique_ptr<Channel>> channel =
        opener_->open(now() + std::chrono::milliseconds(parameters_.connect_timeout_ms));
    if (!channel) {
        return fail(channel.error());
    }
    const std::lock_guard lock(channel_mutex_);
    channel_ = std::move(*channel);
    if (interrupted_) {
        channel_->shutdown();
    }
    return check_protection(parameters_, channel_->traits());
}

Status OutgoingSession::introduce() {
    auto writer = std::make_unique<StreamWriter>(*channel_, environment_.clock);
    update([&](Figures&) { writer_ = std::move(writer); });
    writer_->set_idle_timeout(std::chrono::milliseconds(parameters_.idle_timeout_ms));
    sections_ = std::make_unique<SectionWriter>(*writer_, modern());
    sink_ = std::make_unique<StreamPageSink>(*writer_, environment_.memory);
    if (DirectPageSender* direct = channel_->direct_page_sender()) {
        direct_sink_.emplace(*direct, *writer_);
        update([&](Figures&) { direct_ = direct; });
    }
    put_stream_header();
    if (!channel_->traits().bidirectional) {
        peer_ = Peer::one_way;
    } else if (modern() && parameters_.return_path) {
        return greet_peer();
    }
    writer_->flush();
    return writer_->status();
}

void OutgoingSession::put_stream_header() {
    writer_->put_u32(format::file_magic);
    writer_->put_u32(format::file_version);
    if (modern()) {
        writer_->put_u8(static_cast<std::uint8_t>(SectionType::configuration));
        writer_->put_u32(static_cast<std::uint32_t>(environment_.machine_type.size()));
        writer_->put_text(environment_.machine_type);
    }
}

Status OutgoingSession::greet_peer() {
    put_command(*writer_, format::Command::open_return_path, 0);
    put_ping(*writer_, format::godwit_ping);
    writer_->flush();
    if (!writer_->ok()) {
        return writer_->status();
    }
    return_path_ = std::make_unique<ReturnPath>(*channel_, environment_.clock, *wake_);
    if (Status started = return_path_->start(environment_.executor); !started) {
        return started;
    }
    peer_ = Peer::qemu;  // until it says otherwise: enough to listen to it
    const Instant greeted = now();
    const Instant deadline = now() + std::chrono::milliseconds(parameters_.handshake_timeout_ms);
    if (Status answered = wait_pong(format::godwit_ping, deadline, ErrorCode::handshake_timeout,
                                    "the destination did not answer the greeting in time");
        !answered) {
        return answered;
    }
    round_trip_ = now() - greeted;
    round_trips_ = 1;
    const std::optional<Manifest> manifest = return_path_->heard().manifest;
    update([&](Figures& f) { f.peer = manifest ? "godwit " + manifest->version : "QEMU or compatible"; });
    if (!manifest) {
        return {};
    }
    peer_ = Peer::godwit;
    round_trips_ = 2;
    leave_out_zeros(*manifest);
    if (manifest->page_runs) {
        sink_->allow_runs();
    }
    const Manifest here = make_manifest(environment_);
    if (Status fits = check_preflight(here, *manifest); !fits) {
        return fits;
    }
    if (direct_ != nullptr && parameters_.rdma_pin_all) {
        if (Status pinned = check_pinning(here, *manifest); !pinned) {
            return pinned;
        }
    }
    return parameters_.block ? check_moving_disks(here, *manifest) : Status();
}

/// Fresh memory has them already.
void OutgoingSession::leave_out_zeros(const Manifest& destination) {
    const std::span<const RamBlock> blocks = environment_.memory.blocks();
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        for (const Manifest::Block& there : destination.ram) {
            if (there.fresh && there.id == blocks[i].id) {
                saver_.skip_zeros(i);
            }
        }
    }
}

Status OutgoingSession::prepare() {
    if (Status started = environment_.dirty_source->start(); !started) {
        return started;
    }
    if (Status made = make_delta_sink(); !made) {
        return made;
    }
    for (const DeviceState* device : environment_.devices) {
        device_bytes_ += vmstate_wire_bytes(device->layout());
    }
    saver_.mark_all();
    if (Status started = start_disks(); !started) {
        return started;
    }
    sections_->begin_named(SectionType::start, format::ram_section_id, format::ram_section_name, 0,
                           format::ram_version);
    saver_.put_block_list(*writer_);
    if (direct_sink_) {
        direct_sink_->open(environment_.memory.blocks(), parameters_.rdma_pin_all);
    }
    writer_->put_u64(format::ram_flag::eos);
    sections_->end();
    writer_->flush();
    if (Status sent = check(); !sent) {
        return sent;
    }
    // Known before the state says so.
    update([&](Figures& f) {
        f.active = now();
        f.expected_downtime = std::chrono::milliseconds(parameters_.downtime_limit_ms);
    });
    if (!states_.transition(MigrationState::setup, MigrationState::active)) {
        return fail(ErrorCode::cancelled, "the migration was cancelled");
    }
    return {};
}

Status OutgoingSession::make_delta_sink() {
    if (!parameters_.xbzrle) {
        return {};
    }
    if (direct_sink_) {
        log(LogLevel::info, "xbzrle is of no use here: pages are written straight into the destination's memory");
        return {};
    }
    Result<XbzrleCache> cache = XbzrleCache::make(xbzrle_cache_size(), &environment_.memory);
    if (!cache) {
        return fail(cache.error());
    }
    auto sink = std::make_unique<XbzrlePageSink>(*sink_, environment_.memory, std::move(*cache));
    cache_size_ = xbzrle_cache_size();
    const std::lock_guard lock(figures_mutex_);
    delta_sink_ = std::move(sink);
    figures_.xbzrle_rates.cache_bytes = cache_size_.value();
    return {};
}

/// No more than the guest's memory needs.
ByteCount OutgoingSession::xbzrle_cache_size() const {
    return ByteCount(std::min(parameters_.xbzrle_cache_size_bytes,
                              std::max<std::uint64_t>(page_bytes, std::bit_ceil(saver_.total_bytes()))));
}

void OutgoingSession::conclude(const Status& outcome) {
    lift_throttle();
    if (!outcome) {
        resume_guest();  // before anything that may have to be waited for
        return give_up(explain(outcome.error()));
    }
    // The peer has all it needs; a failure to say goodbye changes nothing any more.
    if (Status ended = say_goodbye(); !ended) {
        log(LogLevel::debug, "closing the channel: " + ended.error().message);
    }
    clean_up();
}

void OutgoingSession::clean_up() {
    if (channel_) {
        channel_->shutdown();
    }
    environment_.dirty_source->stop();
    if (direct_ != nullptr) {
        direct_->close();
    }
    if (disk_saver_) {
        disk_saver_->stop();
    }
    flush_.reset();  // waits for the disks; the guest does not
    if (return_path_) {
        return_path_->join();
    }
}

/// After a failure in the switchover, unless the guest may be the destination's.
void OutgoingSession::resume_guest() {
    if (!state_before_stop_ || stays_paused_) {
        return;
    }
    const MachineLock lock(environment_.machine);
    if (Status resumed = environment_.machine.resume_after_failure(*state_before_stop_); !resumed) {
        log(LogLevel::error, "the guest could not be resumed: " + resumed.error().text());
        resume_error_ = resumed.error();
    }
    state_before_stop_.reset();
}

/// Everything that can be undone is undone before the state says so.
void OutgoingSession::give_up(Error error) {
    if (resume_error_) {
        error.message += "; and the guest could not be resumed: " + resume_error_->text();
        error.hint = "correct that, then let it run with `cont`";
    }
    error.message = printable(error.message);  // it may quote the peer
    if (channel_) {
        channel_->shutdown();
    }
    clean_up();
    update([&](Figures& f) {
        f.ended = now();
        f.error = error;
        f.transferred_bytes = writer_ ? bytes_sent() : 0;
    });
    log(error.code == ErrorCode::cancelled ? LogLevel::info : LogLevel::error, "migration: " + error.text());
    for (MigrationState from = states_.get(); is_running(from) && from != MigrationState::cancelling;
         from = states_.get()) {
        if (states_.transition(from, MigrationState::failed)) {
            return;
        }
    }
}

Status OutgoingSession::check() {
    if (const MigrationState state = states_.get(); state == MigrationState::cancelling) {
        return fail(ErrorCode::cancelled, "the migration was cancelled");
    }
    if (yanked_) {
        return fail(yank_error());
    }
    if (return_path_ && !stays_paused_) {
        if (const ReturnPath::Heard heard = return_path_->heard(); heard.broken()) {
            return fail(heard.reason());
        }
    }
    return writer_ ? writer_->status() : Status();
}

/// The first cause: a cancel, then what the peer said, then what this side did or saw.
Error OutgoingSession::explain(const Error& local) {
    if (states_.get() == MigrationState::cancelling) {
        return Error{ErrorCode::cancelled, "the migration was cancelled"};
    }
    Error cause = first_cause(local);
    // Nothing but a yank makes an open channel say so here.
    return cause.code == ErrorCode::cancelled && yanked_ ? yank_error() : cause;
}

Error OutgoingSession::first_cause(const Error& local) {
    const bool by_connection =
        local.code == ErrorCode::peer_closed || local.code == ErrorCode::io || local.code == ErrorCode::cancelled;
    if (!return_path_ || !by_connection) {
        return local;
    }
    const Instant deadline = now() + last_words_time;
    ReturnPath::Heard heard = return_path_->heard();
    while (!heard.broken() && wake_->wait_until(deadline)) {
        heard = return_path_->heard();
    }
    if (heard.peer_error || (heard.shut && *heard.shut != 0)) {
        return heard.reason();
    }
    return local.code == ErrorCode::cancelled && heard.ended ? *heard.ended : local;
}

void OutgoingSession::log(LogLevel level, const std::string& line) const {
    environment_.log.write(level, line);
}

}  // namespace godwit
