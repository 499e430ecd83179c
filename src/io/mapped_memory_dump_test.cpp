// Whether guest memory is in core dumps.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "io/mapped_memory_testing.h"

namespace godwit {
namespace {

using namespace testing_memory;

/// Whether core dumps have the byte at an address: "dd" of its mapping's VmFlags says that they do not.
bool is_dumped(const std::byte* address) {
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream smaps("/proc/self/smaps");
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        std::uintptr_t from = 0;
        std::uintptr_t to = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
            inside = from <= wanted && wanted < to;
        } else if (inside && line.starts_with("VmFlags:")) {
            return (line + " ").find(" dd ") == std::string::npos;
        }
    }
    ADD_FAILURE() << "no mapping has the address";
    return true;
}

std::unique_ptr<MappedMemory> memory_of(std::vector<MappedMemory::Spec> specs) {
    auto memory = MappedMemory::create(std::move(specs));
    EXPECT_TRUE(memory) << memory.error().text();
    return std::move(*memory);
}

/// Whole pages of this process, in a mapping of their own.
class Pages {
public:
    explicit Pages(std::size_t count) : bytes_(count * page_bytes) {
        host_ = static_cast<std::byte*>(
            ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    }
    ~Pages() { ::munmap(host_, bytes_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    std::byte* page(std::size_t number) const { return host_ + number * page_bytes; }

private:
    std::size_t bytes_;
    std::byte* host_;
};

TEST(MappedMemoryDump, GuestMemoryIsInNoneUnlessAskedFor) {
    const TemporaryDirectory directory("/dev/shm");
    for (const bool wanted : {false, true}) {
        std::vector<MappedMemory::Spec> specs;
        specs.push_back({"private", ByteCount(4 * mebibyte), {}, false, wanted});
        specs.push_back({"ready", ByteCount(mebibyte), {}, true, wanted});
        specs.push_back({"file", ByteCount(mebibyte), directory / "memory", false, wanted});
        const auto memory = memory_of(std::move(specs));
        for (const RamBlock& block : memory->blocks()) {
            EXPECT_EQ(is_dumped(block.host), wanted) << block.id;
            EXPECT_EQ(is_dumped(block.host + block.size.value() - 1), wanted) << block.id;
        }
    }
}

TEST(MappedMemoryDump, WholePagesOfCopiesAreHiddenToo) {
    const auto hidden = memory_of({{"ram", ByteCount(mebibyte), {}}});
    const Pages pages(6);
    hidden->hide_copies({pages.page(1) + 1, 3 * page_bytes});
    EXPECT_TRUE(is_dumped(pages.page(1)));
    EXPECT_FALSE(is_dumped(pages.page(2)));
    EXPECT_FALSE(is_dumped(pages.page(3)));
    EXPECT_TRUE(is_dumped(pages.page(4)));
    hidden->hide_copies({pages.page(5), 0});
    hidden->hide_copies({pages.page(5) + 1, page_bytes - 1});
    EXPECT_TRUE(is_dumped(pages.page(5)));
}

TEST(MappedMemoryDump, CopiesOfMemoryThatIsDumpedAreDumped) {
    std::vector<MappedMemory::Spec> specs;
    specs.push_back({"ram", ByteCount(mebibyte), {}, false, true});
    const auto dumped = memory_of(std::move(specs));
    const Pages pages(2);
    dumped->hide_copies({pages.page(0), 2 * page_bytes});
    const auto adopted = MappedMemory::adopt("ram", pages.page(1), ByteCount(page_bytes));
    ASSERT_TRUE(adopted);
    (*adopted)->hide_copies({pages.page(0), page_bytes});
    EXPECT_TRUE(is_dumped(pages.page(0)));
    EXPECT_TRUE(is_dumped(pages.page(1)));
}

}  // namespace
}  // namespace godwit
