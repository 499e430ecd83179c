#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/file_descriptor.h"
#include "io/mapped_memory.h"
#include "io/mapped_memory_testing.h"

namespace godwit {
namespace {

namespace fs = std::filesystem;
using namespace testing_memory;
using testing::HasSubstr;

TEST(MappedMemory, an_absent_file_is_created_with_the_size_and_closed_on_exec) {
    const TemporaryDirectory directory("/dev/shm");
    const std::string path = directory / "ram";
    auto memory = make({"ram", ByteCount(4 * mebibyte), path});
    ASSERT_TRUE(memory);
    EXPECT_TRUE(memory->blocks()[0].fresh);
    EXPECT_EQ(static_cast<std::uint64_t>(status_of(path).st_size), 4 * mebibyte);
    EXPECT_EQ(allocated_bytes(path), 0U);

    int found = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code ignored;
        if (fs::read_symlink(entry.path(), ignored) == path) {
            ++found;
            EXPECT_NE(::fcntl(std::stoi(entry.path().filename().string()), F_GETFD) & FD_CLOEXEC, 0);
        }
    }
    EXPECT_EQ(found, 1);

    std::memcpy(page_at(memory->blocks()[0], 3), "shared", sizeof "shared");
    std::ifstream file(path);
    file.seekg(3 * page_bytes);
    std::string content;
    std::getline(file, content, '\0');
    EXPECT_EQ(content, "shared");
}

TEST(MappedMemory, an_existing_file_of_the_size_keeps_its_content_and_is_not_fresh) {
    const TemporaryDirectory directory("/tmp");
    const std::string path = directory / "ram";
    {
        auto memory = make({"ram", ByteCount(mebibyte), path});
        fill(memory->blocks()[0], 9, 0x5a);
    }
    auto memory = make({"ram", ByteCount(mebibyte), path});
    EXPECT_FALSE(memory->blocks()[0].fresh);
    EXPECT_TRUE(page_is(memory->blocks()[0], 9, 0x5a));
}

TEST(MappedMemory, an_existing_file_of_another_size_is_an_error_with_both_sizes) {
    const TemporaryDirectory directory("/tmp");
    const std::string path = directory / "ram";
    std::ofstream(path) << std::string(8192, 'x');
    const Error error = failure({{"ram", ByteCount(mebibyte), path}});
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_THAT(error.message, HasSubstr("8192"));
    EXPECT_THAT(error.message, HasSubstr("1048576"));
    EXPECT_EQ(status_of(path).st_size, 8192);
}

TEST(MappedMemory, an_existing_empty_file_is_sized) {
    const TemporaryDirectory directory("/tmp");
    const std::string path = directory / "ram";
    { const std::ofstream empty(path); }
    auto memory = make({"ram", ByteCount(mebibyte), path});
    EXPECT_TRUE(memory->blocks()[0].fresh);
    EXPECT_EQ(static_cast<std::uint64_t>(status_of(path).st_size), mebibyte);
}

TEST(MappedMemory, what_is_not_a_regular_file_is_refused_at_once) {
    const TemporaryDirectory directory("/tmp");
    const std::string fifo = directory / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    for (const std::string& path : {fifo, std::string("/dev/zero")}) {
        const Error error = failure({{"ram", ByteCount(mebibyte), path}});
        EXPECT_EQ(error.code, ErrorCode::invalid_argument);
        EXPECT_THAT(error.message, HasSubstr("not a regular file"));
    }
    EXPECT_THAT(failure({{"ram", ByteCount(mebibyte), directory / ""}}).message, HasSubstr("Is a directory"));
    EXPECT_THAT(failure({{"ram", ByteCount(mebibyte), directory / "no/such"}}).message, HasSubstr("No such file"));
}

TEST(MappedMemory, one_file_serves_one_block) {
    const TemporaryDirectory directory("/tmp");
    const std::string path = directory / "ram";
    const Error error = failure({{"a", ByteCount(mebibyte), path}, {"b", ByteCount(mebibyte), path}});
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_THAT(error.message, HasSubstr("same file"));
}

TEST(MappedMemory, files_created_for_nothing_are_removed_and_others_stay) {
    const TemporaryDirectory directory("/tmp");
    const std::string made = directory / "made";
    const std::string present = directory / "present";
    std::ofstream(present) << std::string(mebibyte, 'x');
    failure({{"a", ByteCount(mebibyte), made}, {"b", ByteCount(mebibyte), present}, {"b", ByteCount(mebibyte), {}}});
    EXPECT_FALSE(fs::exists(made));
    EXPECT_TRUE(fs::exists(present));
    // 2^50 bytes are more than a file on ext4 can have, and more than the address space elsewhere.
    failure({{"a", ByteCount(std::uint64_t{1} << 50), directory / "huge"}});
    EXPECT_FALSE(fs::exists(directory / "huge"));
}

/// Files behave alike wherever they are.
class MappedFile : public testing::TestWithParam<const char*> {
protected:
    MappedFile() : directory_(GetParam()[0] == '/' ? GetParam() : "/tmp") {
        if (GetParam() == std::string("memfd")) {
            memfd_.reset(::memfd_create("ram", MFD_CLOEXEC));
            path_ = "/proc/self/fd/" + std::to_string(memfd_.get());
        } else {
            path_ = directory_ / "ram";
        }
        memory_ = make({"ram", ByteCount(size_bytes), path_});
    }
    const RamBlock& block() const { return memory_->blocks()[0]; }
    PageCount pages() const { return pages_in(block().size); }
    /// A disk's file system may work with larger pieces than pages; memory counts exactly.
    bool exact() const { return std::string(GetParam()) != "/tmp"; }
    void expect_allocated(std::uint64_t page_count) const {
        if (exact()) {
            EXPECT_EQ(allocated_bytes(path_), page_count * page_bytes);
        }
    }

    static constexpr std::uint64_t size_bytes = 64 * mebibyte;
    TemporaryDirectory directory_;
    FileDescriptor memfd_;
    std::string path_;
    std::unique_ptr<MappedMemory> memory_;
};

TEST_P(MappedFile, extents_are_found_without_allocating) {
    fill(block(), 3, 1);
    fill(block(), 4, 1);
    fill(block(), 1000, 1);
    expect_allocated(3);
    const std::uint64_t allocated = allocated_bytes(path_);

    std::vector<std::pair<bool, std::uint64_t>> extents;
    for (PageNumber page(0); page.value() < pages().value();) {
        const Extent extent = memory_->extent_at(0, page);
        extents.emplace_back(extent.hole, extent.end.value());
        ASSERT_GT(extent.end, page);
        page = extent.end;
    }
    const std::vector<std::pair<bool, std::uint64_t>> expected{
        {true, 3}, {false, 5}, {true, 1000}, {false, 1001}, {true, pages().value()}};
    EXPECT_EQ(allocated_bytes(path_), allocated);
    for (std::uint64_t page : {3U, 4U, 1000U}) {
        EXPECT_FALSE(memory_->extent_at(0, PageNumber(page)).hole);
    }
    if (exact()) {
        EXPECT_EQ(extents, expected);
        EXPECT_EQ(memory_->extent_at(0, PageNumber(4)).end, PageNumber(5));
        EXPECT_EQ(memory_->extent_at(0, PageNumber(500)).end, PageNumber(1000));
    }
}

TEST_P(MappedFile, zeroing_what_is_zero_allocates_nothing) {
    ASSERT_TRUE(memory_->make_zero(0, PageNumber(0), pages()));
    for (std::uint64_t page = 0; page < 100; ++page) {
        ASSERT_TRUE(memory_->make_zero(0, PageNumber(page), PageCount(1)));
    }
    EXPECT_EQ(allocated_bytes(path_), 0U);
    EXPECT_EQ(resident_bytes(block()), 0U);
}

TEST_P(MappedFile, zeroing_gives_back_pages_with_content_and_leaves_zero_data_alone) {
    for (std::uint64_t page : {10U, 11U, 12U, 13U, 14U, 40U, 41U}) {
        fill(block(), page, 0x77);
    }
    fill(block(), 12, 0);  // data, and zero
    expect_allocated(7);
    ASSERT_TRUE(memory_->make_zero(0, PageNumber(11), PageCount(30)));
    for (std::uint64_t page = 11; page < 41; ++page) {
        ASSERT_TRUE(memory_->extent_at(0, PageNumber(page)).hole || page == 12) << page;
    }
    expect_allocated(3);  // 10, 12 and 41
    EXPECT_TRUE(page_is(block(), 10, 0x77));
    EXPECT_TRUE(page_is(block(), 41, 0x77));
    EXPECT_TRUE(page_is(block(), 12, 0));
    EXPECT_TRUE(page_is(block(), 11, 0));
    EXPECT_TRUE(page_is(block(), 40, 0));
}

INSTANTIATE_TEST_SUITE_P(places, MappedFile, testing::Values("/dev/shm", "/tmp", "memfd"), [](const auto& place) {
    const std::string name = place.param;
    return name == "/tmp" ? "disk" : name == "/dev/shm" ? "tmpfs" : "memfd";
});

TEST(MappedMemory, where_holes_cannot_be_punched_pages_are_overwritten) {
    const FileDescriptor memfd(::memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_TRUE(memfd.valid());
    auto memory = make({"ram", ByteCount(mebibyte), "/proc/self/fd/" + std::to_string(memfd.get())});
    ASSERT_TRUE(memory);
    const RamBlock& block = memory->blocks()[0];
    fill(block, 5, 1);
    fill(block, 6, 1);
    fill(block, 7, 1);
    // From now on the file can be changed through the present mapping only: punching fails.
    ASSERT_EQ(::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
    ASSERT_TRUE(memory->make_zero(0, PageNumber(0), PageCount(7)));
    EXPECT_TRUE(page_is(block, 5, 0));
    EXPECT_TRUE(page_is(block, 6, 0));
    EXPECT_TRUE(page_is(block, 7, 1));
    EXPECT_EQ(memory->extent_at(0, PageNumber(0)).end, PageNumber(5));
}

}  // namespace
}  // namespace godwit
