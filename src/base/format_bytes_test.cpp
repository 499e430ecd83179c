#include "base/format_bytes.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(FormatBytes, ChoosesAUnit) {
    EXPECT_EQ(format_bytes(0), "0 B");
    EXPECT_EQ(format_bytes(1023), "1023 B");
    EXPECT_EQ(format_bytes(1024), "1.0 KiB");
    EXPECT_EQ(format_bytes(1536.0 * 1024 * 1024), "1.5 GiB");
    EXPECT_EQ(format_bytes(200.0 * 1024 * 1024), "200 MiB");
    EXPECT_EQ(format_bytes(1e30).substr(0, 4), "8881");
}

}  // namespace
}  // namespace godwit
