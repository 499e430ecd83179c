#include "tools/extraction_directory.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

std::string file_of(const std::string& name) {
    return extracted_file_name(name, ".ram").value();
}

TEST(ExtractionDirectory, NamesCannotLeaveTheDirectory) {
    EXPECT_EQ(file_of("microvm.ram"), "microvm.ram.ram");
    EXPECT_EQ(extracted_file_name("drive-0", ".disk").value(), "drive-0.disk");
    EXPECT_EQ(file_of("0000:00:02.0/vga.vram"), "0000:00:02.0%2Fvga.vram.ram");
    EXPECT_EQ(file_of("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd.ram");
    EXPECT_EQ(file_of("."), "%2E.ram");
    EXPECT_EQ(file_of(std::string("a\0\n%\xff", 5)), "a%00%0A%25%FF.ram");
    EXPECT_NE(file_of("a/b"), file_of("a%2Fb"));
    EXPECT_TRUE(extracted_file_name(std::string(251, 'a'), ".ram"));
    EXPECT_FALSE(extracted_file_name(std::string(252, 'a'), ".ram"));
    EXPECT_FALSE(extracted_file_name(std::string(100, '/'), ".ram"));
    EXPECT_FALSE(extracted_file_name("", ".ram"));
}

}  // namespace
}  // namespace godwit
