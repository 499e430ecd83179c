#include "migration/incoming_session.h"

#include <fmt/format.h>

#include "base/printable.h"
#include "migration/protection.h"

namespace godwit {

using format::SectionType;

namespace {

constexpr std::uint32_t max_machine_type_bytes = 255;
/// How long a failing destination waits for its last words to arrive.
constexpr Duration last_words_time = std::chrono::milliseconds(200);

}  // namespace

IncomingSession::IncomingSession(const Environment& environment, StateMachine& states,
                                 const ParameterSource& parameters, std::unique_ptr<ChannelOpener> opener)
    : environment_(environment),
      states_(states),
      parameter_source_(parameters),
      opener_(std::move(opener)),
      loader_(environment.memory),
      disk_loader_(environment.disks),
      loaded_devices_(environment.devices.size(), false) {
    started_ = now();
}

Status IncomingSession::start(std::function<void()> ended) {
    ended_ = std::move(ended);
    Result<std::unique_ptr<Thread>> thread = environment_.executor.start_thread("incoming", [this] { run(); });
    if (!thread) {
        conclude(fail(thread.error()));
        environment_.executor.post(ended_);
        return fail(thread.error());
    }
    thread_ = std::move(*thread);
    return {};
}

void IncomingSession::join() {
    if (thread_) {
        thread_->join();
        thread_.reset();
    }
}

void IncomingSession::interrupt() {
    opener_->cancel();
    const std::lock_guard lock(channel_mutex_);
    interrupted_ = true;
    if (channel_) {
        channel_->shutdown();
    }
}

void IncomingSession::yank() {
    const std::lock_guard lock(channel_mutex_);
    if (channel_) {
        yanked_ = true;
        channel_->shutdown();
    }
}

void IncomingSession::finish() {
    join();
    // A confined thread may not end what belongs to the channel: the command of `exec:`, for one.
    if (channel_) {
        channel_->shutdown();
    }
}

void IncomingSession::run() {
    conclude(receive());
    environment_.executor.post(ended_);
}

Status IncomingSession::receive() {
    for (auto step : {&IncomingSession::open_channel, &IncomingSession::confine, &IncomingSession::read_header,
                      &IncomingSession::read_sections, &IncomingSession::take_over}) {
        if (Status done = (this->*step)(); !done) {
            return done;
        }
    }
    return {};
}

Status IncomingSession::open_channel() {
    Result<std::unique_ptr<Channel>> channel = opener_->open(never);
    if (!channel) {
        return fail(channel.error());
    }
    {
        const std::lock_guard lock(channel_mutex_);
        channel_ = std::move(*channel);
        if (interrupted_) {
            channel_->shutdown();
        }
    }
    const MigrationParameters parameters = parameter_source_.current_parameters();
    if (Status is_protected = check_protection(parameters, channel_->traits()); !is_protected) {
        return is_protected;
    }
    DirectPageReceiver* direct = channel_->direct_page_receiver();
    loader_.set_direct_pages(direct);
    auto reader = std::make_unique<StreamReader>(*channel_, environment_.clock);
    environment_.memory.hide_copies(reader->memory());
    reader->set_deadline(now() + std::chrono::milliseconds(parameters.handshake_timeout_ms));
    const std::lock_guard lock(figures_mutex_);
    reader_ = std::move(reader);
    direct_ = direct;
    return {};
}

Status IncomingSession::confine() {
    return environment_.confine_incoming ? environment_.confine_incoming(*channel_) : Status();
}

Status IncomingSession::read_header() {
    const std::uint32_t magic = reader_->get_u32();
    const std::uint32_t version = reader_->get_u32();
    if (!reader_->ok()) {
        return reader_->status();
    }
    if (magic != format::file_magic) {
        return fail(ErrorCode::stream_corrupt, "this is not a migration stream: it does not begin with \"QEVM\"");
    }
    if (version != format::file_version) {
        return fail(ErrorCode::stream_version, fmt::format("the stream has version {}, only version {} is understood",
                                                           version, format::file_version));
    }
    if (!states_.transition(MigrationState::setup, MigrationState::active)) {
        return fail(ErrorCode::cancelled, "the incoming migration was given up");
    }
    {
        const std::lock_guard lock(figures_mutex_);
        active_ = now();
    }
    const std::optional<std::uint8_t> next = reader_->peek_u8();
    modern_ = next == static_cast<std::uint8_t>(SectionType::configuration);
    return modern_ ? check_machine_type() : Status();
}

Status IncomingSession::check_machine_type() {
    reader_->get_u8();
    const std::uint32_t length = reader_->get_u32();
    if (length > max_machine_type_bytes) {
        return fail(ErrorCode::stream_corrupt,
                    fmt::format("machine type of {} bytes in the configuration section", length));
    }
    const std::string name = reader_->get_text(length);
    if (!reader_->ok()) {
        return reader_->status();
    }
    // An empty name fits every machine, as with QEMU.
    if (!name.empty() && name != environment_.machine_type) {
        mismatch_ =
            Error{ErrorCode::machine_mismatch,
                  fmt::format("Machine type received is '{}' and local is '{}'", name, environment_.machine_type),
                  "start this side with the same --machine"};
    }
    if (reader_->peek_u8() == static_cast<std::uint8_t>(SectionType::subsection)) {
        reader_->get_u8();
        return fail(
            ErrorCode::unsupported,
            fmt::format("the configuration section has \"{}\", which is not supported here", reader_->get_string8()),
            "switch the capabilities x-ignore-shared and validate-uuid off at the source");
    }
    return {};
}

void IncomingSession::say_failed(const Error& error) {
    if (!return_path_) {
        return;
    }
    return_path_->set_deadline(now() + last_words_time);
    if (peer_ == Peer::godwit) {
        return_path_->error(error);
    }
    return_path_->shut(false);
    // The words must arrive before the connection goes. Whether they do is the source's concern.
    static_cast<void>(channel_->drain(now() + last_words_time));
}

void IncomingSession::conclude(const Status& outcome) {
    if (!outcome) {
        const bool given_up = states_.get() == MigrationState::cancelling;
        Error error = given_up ? Error{ErrorCode::cancelled, "the incoming migration was given up"} : outcome.error();
        if (error.code == ErrorCode::cancelled && !given_up && yanked_) {
            error = {ErrorCode::io, "the connection was broken off by 'yank'"};
        }
        error.message = printable(error.message);  // it may quote the stream
        if (error.code != ErrorCode::handover_unknown) {
            say_failed(error);
            disk_loader_.unlock();
        }
        const std::lock_guard lock(figures_mutex_);
        ended_at_ = now();
        error_ = error;
    }
    if (channel_) {
        channel_->shutdown();
    }
    if (direct_ != nullptr) {
        direct_->close();  // only now: it takes its time, for which a guest would have to wait
    }
    if (outcome) {
        return;
    }
    environment_.log.write(LogLevel::error, "incoming migration: " + error_->text());
    for (MigrationState from = states_.get(); is_running(from) && from != MigrationState::cancelling;
         from = states_.get()) {
        if (states_.transition(from, MigrationState::failed)) {
            return;
        }
    }
}

void IncomingSession::fill_statistics(MigrationStatistics& out) const {
    const std::lock_guard lock(figures_mutex_);
    const Instant end = ended_at_.value_or(now());
    out.total_time = end - started_;
    if (active_) {
        out.setup_time = *active_ - started_;
        const double seconds = std::chrono::duration<double>(end - *active_).count();
        const std::uint64_t past_stream = direct_ != nullptr ? direct_->figures().transferred_bytes : 0;
        const double bytes = static_cast<double>((reader_ ? reader_->position() : 0) + past_stream);
        const double rate = seconds > 0 ? bytes / seconds : 0;
        out.bytes_per_s = static_cast<std::uint64_t>(rate);
        out.megabits_per_s = rate * 8 / 1e6;
    }
    out.running_at = running_;
    out.transferred_bytes = reader_ ? reader_->bytes_read() : 0;
    out.zero_pages = loader_.zero_pages();
    out.normal_pages = loader_.normal_pages();
    if (direct_ != nullptr) {
        out.direct = direct_->figures();
        out.transferred_bytes += out.direct->transferred_bytes;
        out.normal_pages += out.direct->pages;
    }
    if (const std::uint64_t total = disk_loader_.total_bytes(); total > 0) {
        out.disk = DiskStatistics{.transferred_bytes = disk_loader_.record_bytes(),
                                  .total_bytes = total,
                                  .data_chunks = disk_loader_.data_chunks(),
                                  .zero_chunks = disk_loader_.zero_chunks()};
    }
    if (const std::uint64_t deltas = loader_.delta_pages(); deltas > 0) {
        out.xbzrle = XbzrleStatistics{.bytes = loader_.delta_bytes(), .pages = deltas};
    }
    for (const RamBlock& block : environment_.memory.blocks()) {
        out.total_bytes += block.size.value();
    }
    out.error = error_;
    out.peer = peer_name_;
}

}  // namespace godwit
