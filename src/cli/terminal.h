#pragma once

#include <termios.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/migration_panel.h"

namespace godwit {

/// Whether `fd` is a terminal that understands the sequences used here.
bool is_capable_terminal(int fd);

struct TerminalSize {
    std::size_t width = 79;
    std::size_t height = 24;
    bool operator==(const TerminalSize&) const = default;
};
/// What can be used of it: the last column is left free, because terminals differ in where the cursor is after it.
TerminalSize terminal_size(int fd);

/// A line with the sequences that set it off.
std::string styled(const PanelLine& line);

/// Writes everything, also to a terminal that is slow. False: it is gone.
bool write_all(int fd, std::string_view text);

/// The whole window of a terminal, painted again and again. Keys are read without an echo and one by one. What was in
/// the window before is there again once this is destroyed. One at a time; one thread.
class FullScreen {
public:
    /// Keys are read from `in` if it is a terminal too.
    FullScreen(int in, int out);
    ~FullScreen();
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;

    /// Writes nothing while neither the lines nor the window's size change. False: the terminal is gone.
    bool paint(const std::vector<PanelLine>& lines);
    /// To poll for keys; negative if none come.
    int key_fd() const { return before_ ? in_ : -1; }
    /// The next key that was pressed, if any. Call when `key_fd` is readable.
    std::optional<char> take_key();

private:
    const int in_;
    const int out_;
    std::optional<termios> before_;
    std::string painted_;
    TerminalSize size_;
};

/// Some lines that are painted over again, below what the terminal shows already. One thread.
class RepaintedBlock {
public:
    explicit RepaintedBlock(int out) : out_(out) {}
    void paint(const std::vector<PanelLine>& lines);
    /// What was painted last stays; what is printed next stands below it.
    void leave() { painted_ = 0; }

private:
    const int out_;
    std::size_t painted_ = 0;
};

}  // namespace godwit
