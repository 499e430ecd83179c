#include "machine/elf_loader.h"

#include <gtest/gtest.h>

#include <random>

#include "machine/test_kernel.h"

namespace godwit {
namespace {

using Bytes = TestKernel::Bytes;

const Bytes code = TestKernel::bytes({0xf4, 0xeb, 0xfd});

std::string reason(const Bytes& file) {
    const auto result = parse_elf(file);
    EXPECT_FALSE(result);
    if (result) {
        return "";
    }
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    return result.error().message;
}

/// The kernel with one field of a header replaced.
template <typename Header, typename Field>
Bytes with(Bytes file, std::size_t offset, Field Header::*field, std::uint64_t value) {
    auto header = TestKernel::get<Header>(file, offset);
    header.*field = static_cast<Field>(value);
    TestKernel::put(file, offset, header);
    return file;
}

TEST(ElfLoader, ReadsBothClasses) {
    for (const Bytes& file : {TestKernel::make32(code, 100), TestKernel::make64(code, 100)}) {
        const auto image = parse_elf(file);
        ASSERT_TRUE(image) << image.error().text();
        EXPECT_EQ(image->pvh_entry, GuestAddress(0x10'0000));
        ASSERT_EQ(image->segments.size(), 1U);
        EXPECT_EQ(image->segments[0].address, GuestAddress(0x10'0000));
        EXPECT_EQ(image->segments[0].memory_size, ByteCount(103));
        EXPECT_TRUE(std::equal(code.begin(), code.end(), image->segments[0].contents.begin(),
                               image->segments[0].contents.end()));
    }
}

TEST(ElfLoader, RefusesWhatIsNoKernel) {
    EXPECT_NE(reason({}).find("not an ELF file"), std::string::npos);
    EXPECT_NE(reason(TestKernel::bytes({0x7f, 'E', 'L', 'F'})).find("not an ELF file"), std::string::npos);
    const Bytes file = TestKernel::make64(code);
    Bytes big_endian = file;
    big_endian[EI_DATA] = std::byte{ELFDATA2MSB};
    EXPECT_NE(reason(big_endian).find("little-endian"), std::string::npos);
    Bytes no_class = file;
    no_class[EI_CLASS] = std::byte{7};
    EXPECT_NE(reason(no_class).find("neither"), std::string::npos);
    EXPECT_NE(reason(with(file, 0, &Elf64_Ehdr::e_machine, EM_AARCH64)).find("processor"), std::string::npos);
    EXPECT_NE(reason(with(file, 0, &Elf64_Ehdr::e_phnum, 0)).find("program headers"), std::string::npos);
    EXPECT_NE(reason(with(file, 0, &Elf64_Ehdr::e_phnum, 0xffff)).find("program headers"), std::string::npos);
    EXPECT_NE(reason(with(file, 0, &Elf64_Ehdr::e_phentsize, 8)).find("program headers"), std::string::npos);
    EXPECT_NE(reason(with(file, 0, &Elf64_Ehdr::e_phoff, ~std::uint64_t{0})).find("outside"), std::string::npos);
    EXPECT_NE(reason(with(file, 0, &Elf64_Ehdr::e_phnum, 1)).find("PVH"), std::string::npos) << "without its notes";
}

TEST(ElfLoader, RefusesSegmentsThatLie) {
    const Bytes file = TestKernel::make64(code);
    const std::size_t load = TestKernel::load_header_offset(true);
    const std::uint64_t huge = ~std::uint64_t{0};
    EXPECT_NE(reason(with(file, load, &Elf64_Phdr::p_offset, huge)).find("outside of the file"), std::string::npos);
    EXPECT_NE(reason(with(file, load, &Elf64_Phdr::p_filesz, huge)).find("outside of the file"), std::string::npos);
    EXPECT_NE(reason(with(file, load, &Elf64_Phdr::p_memsz, 1)).find("more bytes in the file"), std::string::npos);
    EXPECT_NE(reason(with(file, load, &Elf64_Phdr::p_paddr, huge)).find("address space"), std::string::npos);
    EXPECT_NE(reason(with(file, load, &Elf64_Phdr::p_type, PT_NULL)).find("nothing to load"), std::string::npos);
    const std::size_t note = TestKernel::note_header_offset(true);
    EXPECT_NE(reason(with(file, note, &Elf64_Phdr::p_offset, huge)).find("notes"), std::string::npos);
    EXPECT_NE(reason(with(file, note, &Elf64_Phdr::p_filesz, 0)).find("PVH"), std::string::npos);
}

TEST(ElfLoader, NoTruncationAndNoChangedByteDoesHarm) {
    std::mt19937 random(1);
    for (const Bytes& file : {TestKernel::make32(code, 10), TestKernel::make64(code, 10)}) {
        for (std::size_t size = 0; size < file.size(); ++size) {
            // An exact allocation, so that a sanitizer sees every byte read beyond it.
            const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
            EXPECT_FALSE(parse_elf(cut)) << size;
        }
        for (int round = 0; round < 20000; ++round) {
            Bytes wild = file;
            for (int change = 0; change < 3; ++change) {
                wild[random() % wild.size()] = static_cast<std::byte>(random());
            }
            const auto image = parse_elf(wild);
            if (!image) {
                EXPECT_EQ(image.error().code, ErrorCode::invalid_argument);
                continue;
            }
            for (const ElfSegment& segment : image->segments) {
                EXPECT_GE(segment.contents.data(), wild.data());
                EXPECT_LE(segment.contents.data() + segment.contents.size(), wild.data() + wild.size());
                EXPECT_GE(segment.memory_size.value(), segment.contents.size());
            }
        }
    }
}

}  // namespace
}  // namespace godwit
