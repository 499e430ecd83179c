#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace godwit {

/// Makes small ELF kernels with a PVH note, for tests.
class TestKernel {
public:
    using Bytes = std::vector<std::byte>;

    static Bytes bytes(const std::vector<int>& values) {
        Bytes result;
        for (const int value : values) {
            result.push_back(static_cast<std::byte>(value));
        }
        return result;
    }

    /// A 32-bit kernel: code at 1 MiB, `bss_bytes` of zeros behind it, entry at the first instruction.
    static Bytes make32(const Bytes& code, std::uint32_t bss_bytes = 0, std::uint32_t address = 0x10'0000) {
        return make<Elf32_Ehdr, Elf32_Phdr>(ELFCLASS32, EM_386, code, bss_bytes, address);
    }
    static Bytes make64(const Bytes& code, std::uint32_t bss_bytes = 0, std::uint32_t address = 0x10'0000) {
        return make<Elf64_Ehdr, Elf64_Phdr>(ELFCLASS64, EM_X86_64, code, bss_bytes, address);
    }

    /// Where the parts lie in such a file, so that a test can break them.
    static constexpr std::size_t load_header_offset(bool is64) {
        return is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    }
    static constexpr std::size_t note_header_offset(bool is64) {
        return load_header_offset(is64) + (is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
    }

    template <typename T>
    static T get(const Bytes& file, std::size_t offset) {
        T value;
        std::memcpy(&value, file.data() + offset, sizeof(value));
        return value;
    }
    template <typename T>
    static void put(Bytes& file, std::size_t offset, const T& value) {
        std::memcpy(file.data() + offset, &value, sizeof(value));
    }

private:
    template <typename Header, typename ProgramHeader>
    static Bytes make(unsigned char elf_class, unsigned machine, const Bytes& code, std::uint32_t bss_bytes,
                      std::uint32_t address) {
        const Bytes note = make_note(address);
        const std::size_t headers = sizeof(Header) + 2 * sizeof(ProgramHeader);
        Header header{};
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = elf_class;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_ident[EI_VERSION] = EV_CURRENT;
        header.e_type = ET_EXEC;
        header.e_machine = static_cast<decltype(header.e_machine)>(machine);
        header.e_phoff = sizeof(Header);
        header.e_phentsize = sizeof(ProgramHeader);
        header.e_phnum = 2;
        ProgramHeader load{};
        load.p_type = PT_LOAD;
        load.p_offset = static_cast<decltype(load.p_offset)>(headers + note.size());
        load.p_paddr = load.p_vaddr = address;
        load.p_filesz = static_cast<decltype(load.p_filesz)>(code.size());
        load.p_memsz = static_cast<decltype(load.p_memsz)>(code.size() + bss_bytes);
        ProgramHeader notes{};
        notes.p_type = PT_NOTE;
        notes.p_offset = static_cast<decltype(notes.p_offset)>(headers);
        notes.p_filesz = static_cast<decltype(notes.p_filesz)>(note.size());
        notes.p_align = 4;
        Bytes file(headers);
        put(file, 0, header);
        put(file, sizeof(Header), load);
        put(file, sizeof(Header) + sizeof(ProgramHeader), notes);
        file.insert(file.end(), note.begin(), note.end());
        file.insert(file.end(), code.begin(), code.end());
        return file;
    }

    /// A foreign note first, then the entry point.
    static Bytes make_note(std::uint32_t entry) {
        Bytes note;
        append_note(note, "GNU", 1, {1, 2, 3, 4, 5});
        append_note(note, "Xen", 18,
                    {static_cast<int>(entry & 0xff), static_cast<int>((entry >> 8) & 0xff),
                     static_cast<int>((entry >> 16) & 0xff), static_cast<int>(entry >> 24)});
        return note;
    }

    static void append_note(Bytes& note, const std::string& owner, std::uint32_t type, const std::vector<int>& text) {
        const std::size_t start = note.size();
        const Elf32_Nhdr header{static_cast<Elf32_Word>(owner.size() + 1), static_cast<Elf32_Word>(text.size()), type};
        const std::size_t name_bytes = (owner.size() + 1 + 3) / 4 * 4;
        note.resize(start + sizeof(header) + name_bytes + (text.size() + 3) / 4 * 4);
        put(note, start, header);
        std::memcpy(note.data() + start + sizeof(header), owner.data(), owner.size());
        const Bytes description = bytes(text);
        std::memcpy(note.data() + start + sizeof(header) + name_bytes, description.data(), description.size());
    }
};

}  // namespace godwit
