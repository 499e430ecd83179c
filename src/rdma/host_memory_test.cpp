#include "rdma/host_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace godwit::rdma {
namespace {

TEST(HostMemory, PagesThatWereNeverTouchedAreNotResident) {
    constexpr std::size_t bytes = 64 * page_bytes;
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    ASSERT_EQ(::madvise(mapped, bytes, MADV_NOHUGEPAGE), 0);
    const MutableBuffer memory(static_cast<std::byte*>(mapped), bytes);
    EXPECT_EQ(not_resident(memory), ByteCount(bytes));
    for (std::size_t page = 0; page < 10; ++page) {
        memory[page * page_bytes] = std::byte{1};
    }
    EXPECT_EQ(not_resident(memory), ByteCount(54 * page_bytes));
    ::munmap(mapped, bytes);
}

TEST(HostMemory, TheHostSaysHowMuchIsAvailable) {
    const auto available = available_memory();
    ASSERT_TRUE(available);
    EXPECT_GT(available->value(), 0U);
}

/// The files of a control group, in a folder of the test's own.
class GroupFolder {
public:
    GroupFolder() : path_(std::filesystem::temp_directory_path() / ("godwit-group-" + std::to_string(::getpid()))) {
        std::filesystem::create_directory(path_);
    }
    ~GroupFolder() { std::filesystem::remove_all(path_); }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

TEST(HostMemory, AControlGroupLeavesItsLimitWithoutWhatIsInUse) {
    const GroupFolder folder;
    EXPECT_FALSE(available_in_group(folder.path())) << "there are no files";
    folder.write("memory.max", "1000000\n");
    folder.write("memory.current", "700000\n");
    EXPECT_EQ(available_in_group(folder.path()), ByteCount(300'000));
    folder.write("memory.stat", "anon 600000\ninactive_file 50000\nactive_file 50000\n");
    EXPECT_EQ(available_in_group(folder.path()), ByteCount(350'000));
    folder.write("memory.current", "2000000\n");
    EXPECT_EQ(available_in_group(folder.path()), ByteCount(0));
    folder.write("memory.max", "max\n");
    EXPECT_FALSE(available_in_group(folder.path())) << "no limit";
}

}  // namespace
}  // namespace godwit::rdma
