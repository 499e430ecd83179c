#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace godwit {

namespace {

constexpr const char* enter = "\x1b[?1049h\x1b[?25l";
constexpr const char* leave = "\x1b[?25h\x1b[?1049l";
constexpr const char* erase_line = "\x1b[K";
/// So long a terminal may take nothing (Ctrl-S) before it counts as gone.
constexpr int most_wait_ms = 5000;

}  // namespace

bool is_capable_terminal(int fd) {
    const char* kind = std::getenv("TERM");
    return ::isatty(fd) == 1 && kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

TerminalSize terminal_size(int fd) {
    TerminalSize size;
    winsize window{};
    if (::ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 && window.ws_row > 0) {
        size.width = window.ws_col - std::size_t{1};
        size.height = window.ws_row;
    }
    return size;
}

std::string styled(const PanelLine& line) {
    const bool plain = std::getenv("NO_COLOR") != nullptr;
    switch (line.style) {
        case PanelLine::Style::plain:
            return line.text;
        case PanelLine::Style::title:
            return "\x1b[1m" + line.text + "\x1b[0m";
        case PanelLine::Style::good:
            return (plain ? "\x1b[1m" : "\x1b[1;32m") + line.text + "\x1b[0m";
        case PanelLine::Style::bad:
            return (plain ? "\x1b[1m" : "\x1b[1;31m") + line.text + "\x1b[0m";
    }
    return line.text;
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count >= 0) {
            text.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            pollfd entry{fd, POLLOUT, 0};
            if (::poll(&entry, 1, most_wait_ms) == 0) {
                return false;
            }
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

FullScreen::FullScreen(int in, int out) : in_(in), out_(out) {
    termios now{};
    if (::tcgetattr(in_, &now) == 0) {
        before_ = now;
        now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        // Ctrl-C is a signal that is caught. Ctrl-Z and Ctrl-\ would leave the window as it is.
        now.c_cc[VSUSP] = now.c_cc[VQUIT] = _POSIX_VDISABLE;
        now.c_cc[VMIN] = 0;
        now.c_cc[VTIME] = 0;
        ::tcsetattr(in_, TCSANOW, &now);
    }
    write_all(out_, enter);
}

FullScreen::~FullScreen() {
    write_all(out_, leave);
    if (before_) {
        ::tcsetattr(in_, TCSANOW, &*before_);
    }
}

bool FullScreen::paint(const std::vector<PanelLine>& lines) {
    // One write, each line erased behind its text only: no flicker.
    std::string frame = "\x1b[H";
    for (std::size_t i = 0; i < lines.size(); ++i) {
        frame += styled(lines[i]);
        frame += erase_line;
        frame += i + 1 < lines.size() ? "\r\n" : "";
    }
    frame += "\x1b[J";
    const TerminalSize size = terminal_size(out_);
    if (frame == painted_ && size == size_) {
        return true;
    }
    size_ = size;
    painted_ = std::move(frame);
    return write_all(out_, painted_);
}

std::optional<char> FullScreen::take_key() {
    char key = 0;
    const ssize_t count = ::read(in_, &key, 1);
    if (count == 1) {
        return key;
    }
    if (count == 0 || errno != EINTR) {
        return 'q';  // readable without a key: the terminal is gone
    }
    return std::nullopt;
}

void RepaintedBlock::paint(const std::vector<PanelLine>& lines) {
    std::string frame = "\r";
    if (painted_ > 1) {
        frame += "\x1b[" + std::to_string(painted_ - 1) + "A";
    }
    for (const PanelLine& line : lines) {
        frame += styled(line);
        frame += erase_line;
        frame += "\r\n";
    }
    frame += "\x1b[J";
    write_all(out_, frame);
    // The cursor stands on the line below the last.
    painted_ = lines.size() + 1;
}

}  // namespace godwit
