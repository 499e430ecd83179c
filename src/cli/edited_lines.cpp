#include "cli/edited_lines.h"

#include <histedit.h>
#include <pthread.h>

#include <algorithm>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cwchar>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "monitor/hmp_line.h"
#include "monitor/hmp_session.h"

namespace godwit {

namespace {

constexpr int history_lines = 500;

/// Makes the calling thread, and no other, read and write UTF-8.
class Utf8Here {
public:
    Utf8Here() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
        if (locale_ != nullptr) {
            ::uselocale(locale_);
        }
    }
    ~Utf8Here() {
        if (locale_ != nullptr) {
            ::uselocale(LC_GLOBAL_LOCALE);
            ::freelocale(locale_);
        }
    }
    Utf8Here(const Utf8Here&) = delete;
    Utf8Here& operator=(const Utf8Here&) = delete;

private:
    const locale_t locale_;
};

std::string common_beginning(const std::vector<std::string>& words) {
    std::string common = words.front();
    for (const std::string& word : words) {
        const auto end = std::mismatch(common.begin(), common.end(), word.begin(), word.end()).first;
        common.erase(end, common.end());
    }
    return common;
}

/// libedit's native interface. Its input and output go through StandardStreams, so that no wait outlives a cancel.
class EditedLines : public LineSource {
public:
    EditedLines(const StandardStreams& streams, const CommandTable& commands)
        : streams_(streams), commands_(commands) {}
    ~EditedLines() override {
        if (edit_ != nullptr) {
            ::el_end(edit_);
        }
        if (history_ != nullptr) {
            ::history_end(history_);
        }
        if (output_ != nullptr) {
            std::fclose(output_);
        }
    }
    EditedLines(const EditedLines&) = delete;
    EditedLines& operator=(const EditedLines&) = delete;

    bool open() {
        // The terminal's modes may be set from the background too: an end there must not stop the program instead.
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTTOU);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        cookie_io_functions_t functions{};
        functions.write = write_output;
        output_ = ::fopencookie(this, "w", functions);
        history_ = ::history_init();
        if (output_ == nullptr || history_ == nullptr || !streams_.wait_for_foreground()) {
            return false;
        }
        edit_ = ::el_init_fd("godwit", stdin, output_, output_, streams_.input(), streams_.output(), streams_.output());
        if (edit_ == nullptr) {
            return false;
        }
        HistEvent event;
        ::history(history_, &event, H_SETSIZE, history_lines);
        ::history(history_, &event, H_SETUNIQUE, 1);
        ::el_set(edit_, EL_CLIENTDATA, this);
        ::el_set(edit_, EL_GETCFN, read_character);
        ::el_set(edit_, EL_PROMPT, prompt);
        ::el_set(edit_, EL_EDITOR, "emacs");
        ::el_set(edit_, EL_HIST, ::history, history_);
        ::el_set(edit_, EL_ADDFN, "complete", "complete the word", complete_word);
        ::el_set(edit_, EL_BIND, "^I", "complete", nullptr);
        ::el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
        return true;
    }

    std::optional<std::string> next() override {
        if (!streams_.wait_for_foreground()) {
            return std::nullopt;
        }
        ::el_resize(edit_);
        // Before the prompt invites to type: by itself the library would do it after, and a Ctrl-D in between be lost.
        ::el_set(edit_, EL_PREP_TERM, 1);
        int count = 0;
        const char* text = ::el_gets(edit_, &count);
        if (text == nullptr || count <= 0) {
            streams_.write("\n");
            return std::nullopt;
        }
        std::string line(text, static_cast<std::size_t>(count));
        if (line.find_first_not_of(" \t\r\n") != std::string::npos) {
            HistEvent event;
            ::history(history_, &event, H_ENTER, line.c_str());
        }
        return line;
    }

private:
    static EditedLines& owner(EditLine* edit) {
        void* pointer = nullptr;
        ::el_get(edit, EL_CLIENTDATA, &pointer);
        return *static_cast<EditedLines*>(pointer);
    }

    static ssize_t write_output(void* cookie, const char* bytes, std::size_t count) {
        static_cast<EditedLines*>(cookie)->streams_.write(std::string_view(bytes, count));
        // What could not be written is lost; an error would only make the library try again.
        return static_cast<ssize_t>(count);
    }

    static char* prompt(EditLine* edit) { return owner(edit).prompt_.data(); }

    /// 1 with a character, 0 at the end.
    static int read_character(EditLine* edit, wchar_t* character) {
        EditedLines& self = owner(edit);
        std::mbstate_t state{};
        for (char byte = 0; self.streams_.read(std::span(&byte, 1)) == 1;) {
            const std::size_t outcome = std::mbrtowc(character, &byte, 1, &state);
            if (outcome == static_cast<std::size_t>(-1)) {
                state = {};  // not UTF-8
            } else if (outcome != static_cast<std::size_t>(-2) && !self.overlong(*character)) {
                return 1;
            }
        }
        return 0;
    }

    /// Whether the line has no room for the character. Control characters, which edit, always have.
    bool overlong(wchar_t character) const {
        const LineInfo* line = ::el_line(edit_);
        return character >= L' ' && character != L'\x7f' &&
               line->lastchar - line->buffer >= ssize_t{max_hmp_line_bytes};
    }

    static unsigned char complete_word(EditLine* edit, int) { return owner(edit).complete(); }

    unsigned char complete() {
        const LineInfo* line = ::el_line(edit_);
        const std::string_view before(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
        const auto found = complete_hmp_line(before, commands_);
        if (found.empty()) {
            return CC_REFRESH_BEEP;
        }
        const std::size_t typed = before.size() - (before.find_last_of(" \t") + 1);
        std::string rest = common_beginning(found).substr(typed);
        if (found.size() == 1) {
            rest += ' ';
        }
        if (rest.empty()) {
            return show(found);
        }
        return ::el_insertstr(edit_, rest.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    }

    unsigned char show(const std::vector<std::string>& words) {
        std::string text = "\n";
        for (const std::string& word : words) {
            text += word + "\n";
        }
        std::fputs(text.c_str(), output_);
        return CC_REDISPLAY;
    }

    // First, so that it lasts longest: the library's calls depend on it.
    const Utf8Here utf8_;
    const StandardStreams& streams_;
    const CommandTable& commands_;
    std::string prompt_{hmp_prompt};
    std::FILE* output_ = nullptr;
    History* history_ = nullptr;
    EditLine* edit_ = nullptr;
};

}  // namespace

std::unique_ptr<LineSource> open_edited_lines(const StandardStreams& streams, const CommandTable& commands) {
    auto lines = std::make_unique<EditedLines>(streams, commands);
    return lines->open() ? std::move(lines) : nullptr;
}

}  // namespace godwit
