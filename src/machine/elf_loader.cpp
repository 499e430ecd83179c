#include "machine/elf_loader.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace godwit {

namespace {

/// The note's type "PHYS32_ENTRY" among those of the owner "Xen".
constexpr std::uint32_t pvh_note_type = 18;
constexpr std::string_view pvh_note_owner("Xen\0", 4);

using Bytes = std::span<const std::byte>;

tl::unexpected<Error> broken(std::string what) {
    return fail(ErrorCode::invalid_argument, "the kernel is not usable: " + std::move(what),
                "give an ELF executable for x86 with a PVH entry point");
}

std::optional<Bytes> slice(Bytes bytes, std::uint64_t offset, std::uint64_t size) {
    if (offset > bytes.size() || size > bytes.size() - offset) {
        return std::nullopt;
    }
    return bytes.subspan(offset, size);
}

template <typename T>
std::optional<T> read_struct(Bytes bytes, std::uint64_t offset) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto part = slice(bytes, offset, sizeof(T));
    if (!part) {
        return std::nullopt;
    }
    T value{};
    std::memcpy(&value, part->data(), sizeof(T));
    return value;
}

/// The little-endian number in 4 or 8 bytes.
std::optional<std::uint64_t> read_entry(Bytes description) {
    if (description.size() == sizeof(std::uint32_t)) {
        return read_struct<std::uint32_t>(description, 0);
    }
    return description.size() == sizeof(std::uint64_t) ? read_struct<std::uint64_t>(description, 0) : std::nullopt;
}

/// Finds the PVH entry point among the notes of one PT_NOTE segment.
std::optional<std::uint64_t> find_pvh_entry(Bytes notes, std::uint64_t alignment) {
    const std::uint64_t unit = alignment == 8 ? 8 : 4;
    const auto aligned = [unit](std::uint64_t size) { return (size + unit - 1) / unit * unit; };
    std::uint64_t offset = 0;
    for (std::size_t count = 0; count < max_elf_notes; ++count) {
        // The header has the same form in 32- and 64-bit files.
        const auto header = read_struct<Elf64_Nhdr>(notes, offset);
        if (!header) {
            return std::nullopt;
        }
        const std::uint64_t name_offset = offset + sizeof(Elf64_Nhdr);
        const std::uint64_t description_offset = aligned(name_offset + header->n_namesz);
        const auto name = slice(notes, name_offset, header->n_namesz);
        const auto description = slice(notes, description_offset, header->n_descsz);
        if (!name || !description) {
            return std::nullopt;
        }
        const bool of_xen = name->size() == pvh_note_owner.size() &&
                            std::memcmp(name->data(), pvh_note_owner.data(), pvh_note_owner.size()) == 0;
        if (of_xen && header->n_type == pvh_note_type) {
            return read_entry(*description);
        }
        offset = aligned(description_offset + header->n_descsz);
    }
    return std::nullopt;
}

template <typename ProgramHeader>
Result<ElfSegment> make_segment(Bytes file, const ProgramHeader& header, std::size_t index) {
    const auto contents = slice(file, header.p_offset, header.p_filesz);
    if (!contents) {
        return broken(fmt::format("segment {} lies outside of the file", index));
    }
    if (header.p_memsz < header.p_filesz) {
        return broken(fmt::format("segment {} has more bytes in the file than in memory", index));
    }
    if (header.p_memsz > std::numeric_limits<std::uint64_t>::max() - header.p_paddr) {
        return broken(fmt::format("segment {} goes beyond the end of the address space", index));
    }
    return ElfSegment{GuestAddress(header.p_paddr), *contents, ByteCount(header.p_memsz)};
}

template <typename Header, typename ProgramHeader>
Result<ElfImage> parse_class(Bytes file) {
    const auto header = read_struct<Header>(file, 0);
    if (!header) {
        return broken("the file ends within its header");
    }
    if (header->e_machine != EM_386 && header->e_machine != EM_X86_64) {
        return broken(fmt::format("it is for another processor (ELF machine {})", header->e_machine));
    }
    if (header->e_phentsize != sizeof(ProgramHeader) || header->e_phnum == 0 || header->e_phnum > max_elf_headers) {
        return broken(fmt::format("{} program headers of {} bytes", header->e_phnum, header->e_phentsize));
    }
    ElfImage image;
    constexpr auto no_entry = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t entry = no_entry;
    for (std::size_t index = 0; index < header->e_phnum; ++index) {
        const auto program = slice(file, header->e_phoff, std::uint64_t{header->e_phnum} * sizeof(ProgramHeader));
        if (!program) {
            return broken("the program headers lie outside of the file");
        }
        const auto segment = *read_struct<ProgramHeader>(*program, index * sizeof(ProgramHeader));
        if (segment.p_type == PT_LOAD && segment.p_memsz != 0) {
            auto loaded = make_segment(file, segment, index);
            if (!loaded) {
                return fail(loaded.error());
            }
            image.segments.push_back(*loaded);
        } else if (segment.p_type == PT_NOTE && entry == no_entry) {
            const auto notes = slice(file, segment.p_offset, segment.p_filesz);
            if (!notes) {
                return broken(fmt::format("the notes of segment {} lie outside of the file", index));
            }
            entry = find_pvh_entry(*notes, segment.p_align).value_or(no_entry);
        }
    }
    if (image.segments.empty()) {
        return broken("it has nothing to load");
    }
    if (entry > std::numeric_limits<std::uint32_t>::max()) {
        return broken("it has no PVH entry point (ELF note 18 of Xen) below 4 GiB");
    }
    image.pvh_entry = GuestAddress(entry);
    return image;
}

}  // namespace

Result<ElfImage> parse_elf(Bytes file) {
    const auto identification = slice(file, 0, EI_NIDENT);
    if (!identification || std::memcmp(identification->data(), ELFMAG, SELFMAG) != 0) {
        return broken("it is not an ELF file");
    }
    if (std::to_integer<int>((*identification)[EI_DATA]) != ELFDATA2LSB) {
        return broken("it is not little-endian");
    }
    switch (std::to_integer<int>((*identification)[EI_CLASS])) {
        case ELFCLASS32:
            return parse_class<Elf32_Ehdr, Elf32_Phdr>(file);
        case ELFCLASS64:
            return parse_class<Elf64_Ehdr, Elf64_Phdr>(file);
        default:
            return broken("it is neither a 32-bit nor a 64-bit ELF file");
    }
}

}  // namespace godwit
