#include "io/named_descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "io/test_support.h"

namespace godwit {
namespace {

FileDescriptor some_descriptor() {
    return FileDescriptor(::open("/dev/null", O_RDWR));
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(NamedDescriptors, HandsOverWhatWasPut) {
    NamedDescriptors table;
    FileDescriptor fd = some_descriptor();
    const int number = fd.get();
    ASSERT_OK(table.put("migration", std::move(fd)));
    EXPECT_EQ(::fcntl(number, F_GETFD), FD_CLOEXEC);
    auto taken = table.take("migration");
    ASSERT_OK(taken);
    EXPECT_EQ(taken->get(), number);
    EXPECT_EQ(table.size(), 0U);
    EXPECT_CODE(table.take("migration"), ErrorCode::not_found);
}

TEST(NamedDescriptors, ClosesWhatIsReplacedOrNotWanted) {
    NamedDescriptors table;
    FileDescriptor first = some_descriptor();
    FileDescriptor second = some_descriptor();
    const int first_number = first.get();
    const int second_number = second.get();
    ASSERT_OK(table.put("a", std::move(first)));
    ASSERT_OK(table.put("a", std::move(second)));
    EXPECT_FALSE(is_open(first_number));
    EXPECT_TRUE(is_open(second_number));
    ASSERT_OK(table.close("a"));
    EXPECT_FALSE(is_open(second_number));
    EXPECT_CODE(table.close("a"), ErrorCode::not_found);
}

TEST(NamedDescriptors, RefusesBadNamesAndMissingDescriptors) {
    NamedDescriptors table;
    EXPECT_CODE(table.put("", some_descriptor()), ErrorCode::invalid_argument);
    EXPECT_CODE(table.put("7up", some_descriptor()), ErrorCode::invalid_argument);
    EXPECT_CODE(table.put(std::string(256, 'x'), some_descriptor()), ErrorCode::invalid_argument);
    EXPECT_CODE(table.put("a", FileDescriptor()), ErrorCode::invalid_argument);
    EXPECT_EQ(table.size(), 0U);
}

TEST(NamedDescriptors, KeepsALimitedNumber) {
    NamedDescriptors table;
    for (std::size_t i = 0; i < NamedDescriptors::max_count; ++i) {
        ASSERT_OK(table.put("fd" + std::to_string(i), some_descriptor()));
    }
    EXPECT_CODE(table.put("one-more", some_descriptor()), ErrorCode::busy);
    EXPECT_OK(table.put("fd0", some_descriptor()));
}

}  // namespace
}  // namespace godwit
