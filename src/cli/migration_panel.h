#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/migration_sample.h"
#include "cli/text_graphics.h"

namespace godwit {

/// A line for a terminal, and how it is to be set off.
struct PanelLine {
    enum class Style { plain, title, good, bad };
    std::string text;
    Style style = Style::plain;
};

/// What is known of a machine. Texts are printable.
struct MachineView {
    std::string name;       ///< the machine's, or its socket's path
    std::string server;     ///< the program that runs it
    std::string run_state;  ///< "running"
    /// Why the figures are old, or absent; empty: all is well.
    std::string trouble;
    MigrationSample migration;
    MigrationCourse course;
};

/// A narrower window is taken for one of so many columns.
inline constexpr std::size_t least_panel_width = 14;

/// A machine and its migration in lines of at most `width` columns.
std::vector<PanelLine> panel_lines(const MachineView& machine, std::size_t width, Glyphs glyphs);

/// The figures of a migration without the machine, in lines of at most `width` columns: bar, rates, spark-lines.
std::vector<PanelLine> migration_lines(const MigrationSample& migration, const MigrationCourse& course,
                                       std::size_t width, Glyphs glyphs);

/// The same in a single line.
PanelLine compact_line(const MachineView& machine, std::size_t width, Glyphs glyphs);

/// What fits into a window: a title, and each machine in full, or in one line where there are too many for that.
std::vector<PanelLine> screen_lines(const std::vector<MachineView>& machines, std::size_t width, std::size_t height,
                                    Glyphs glyphs);

}  // namespace godwit
