#include "tools/svg_writer.h"

#include <fmt/format.h>

#include <iterator>

namespace godwit {

std::string xml_escape(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        switch (c) {
            case '&':
                escaped += "&amp;";
                break;
            case '<':
                escaped += "&lt;";
                break;
            case '>':
                escaped += "&gt;";
                break;
            case '"':
                escaped += "&quot;";
                break;
            case '\'':
                escaped += "&apos;";
                break;
            default:
                escaped += c >= ' ' && c <= '~' ? c : '?';
        }
    }
    return escaped;
}

SvgWriter::SvgWriter(double width, double height, std::string_view style) {
    out_ = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
        "{1:.0f}\">\n<style>{2}</style>\n",
        width, height, xml_escape(style));
}

void SvgWriter::line(Point from, Point to, std::string_view css_class) {
    fmt::format_to(std::back_inserter(out_), R"(<line x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}" class="{}"/>)",
                   from.first, from.second, to.first, to.second, xml_escape(css_class));
    out_ += '\n';
}

void SvgWriter::rect(Point corner, double width, double height, std::string_view css_class) {
    fmt::format_to(std::back_inserter(out_),
                   R"(<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" class="{}"/>)", corner.first,
                   corner.second, width, height, xml_escape(css_class));
    out_ += '\n';
}

void SvgWriter::text(Point at, std::string_view text, std::string_view css_class, std::string_view anchor) {
    fmt::format_to(std::back_inserter(out_), R"(<text x="{:.2f}" y="{:.2f}" class="{}" text-anchor="{}">{}</text>)",
                   at.first, at.second, xml_escape(css_class), xml_escape(anchor), xml_escape(text));
    out_ += '\n';
}

void SvgWriter::polyline(const std::vector<Point>& points, std::string_view css_class) {
    if (points.size() < 2) {
        return;
    }
    out_ += fmt::format(R"(<polyline class="{}" points=")", xml_escape(css_class));
    for (const auto& [x, y] : points) {
        fmt::format_to(std::back_inserter(out_), "{:.2f},{:.2f} ", x, y);
    }
    out_.back() = '"';
    out_ += "/>\n";
}

std::string SvgWriter::finish() {
    out_ += "</svg>\n";
    return std::move(out_);
}

}  // namespace godwit
