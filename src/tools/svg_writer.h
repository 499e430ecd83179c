#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace godwit {

/// Makes an SVG drawing, element after element. Texts are escaped; names of classes and elements are the program's own.
class SvgWriter {
public:
    using Point = std::pair<double, double>;

    /// `style` is CSS for the drawing's classes.
    SvgWriter(double width, double height, std::string_view style);

    void line(Point from, Point to, std::string_view css_class);
    void rect(Point corner, double width, double height, std::string_view css_class);
    /// `anchor`: "start", "middle" or "end" stands at the point.
    void text(Point at, std::string_view text, std::string_view css_class, std::string_view anchor = "start");
    /// Draws nothing for fewer than two points.
    void polyline(const std::vector<Point>& points, std::string_view css_class);

    /// The whole drawing. Call once, last.
    std::string finish();

private:
    std::string out_;
};

/// Text as it stands in XML, in element content and in attributes. What is no XML character becomes a question mark.
std::string xml_escape(std::string_view text);

}  // namespace godwit
