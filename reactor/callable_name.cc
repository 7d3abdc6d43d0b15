// SPDX-License-Identifier: MIT
#include "reactor/callable_name.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

// dladdr(3) knows exported functions only, and a callback is mostly a static
// one. So the .symtab section of the ELF file that holds the address is read
// too (elf(5)).

namespace rondo {
namespace {

std::string demangle(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : symbol;
}

void erase_all(std::string& text, std::string_view part) {
  for (auto at = text.find(part); at != std::string::npos;
       at = text.find(part, at)) {
    text.erase(at, part.size());
  }
}

/// `ns::f(int, char) const` -> `ns::f`: cuts at the parenthesis that opens
/// the last parameter list.
std::string without_parameters(std::string name) {
  erase_all(name, "(anonymous namespace)::");
  const auto last = name.rfind(')');
  if (last == std::string::npos) return name;
  int depth = 0;
  for (auto at = last + 1; at-- > 0;) {
    if (name[at] == ')') ++depth;
    if (name[at] == '(' && --depth == 0) {
      name.erase(at);
      break;
    }
  }
  // A template's name comes with its return type: `void ns::f<int>`.
  int angle = 0;
  for (auto at = name.size(); at-- > 0;) {
    if (name[at] == '>') ++angle;
    if (name[at] == '<') --angle;
    if (name[at] == ' ' && angle == 0) return name.substr(at + 1);
  }
  return name;
}

template <class T>
bool read_at(std::ifstream& file, std::uint64_t offset, T* to,
             std::size_t count) {
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(to),
            static_cast<std::streamsize>(count * sizeof(T)));
  return file.good();
}

/// The symbol in the ELF file `path` whose value is `value`.
std::optional<std::string> symbol_in_file(const char* path,
                                          std::uint64_t value) {
  std::ifstream file(path, std::ios::binary);
  ElfW(Ehdr) header;
  if (!read_at(file, 0, &header, 1)) return std::nullopt;
  std::vector<ElfW(Shdr)> sections(header.e_shnum);
  if (!read_at(file, header.e_shoff, sections.data(), sections.size())) {
    return std::nullopt;
  }
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) {
      continue;
    }
    std::vector<ElfW(Sym)> symbols(section.sh_size / sizeof(ElfW(Sym)));
    const auto& strings = sections[section.sh_link];
    std::vector<char> names(strings.sh_size + 1);
    if (!read_at(file, section.sh_offset, symbols.data(), symbols.size()) ||
        !read_at(file, strings.sh_offset, names.data(), strings.sh_size)) {
      return std::nullopt;
    }
    for (const auto& symbol : symbols) {
      if (symbol.st_value == value &&
          ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
          symbol.st_name < strings.sh_size) {
        return std::string(&names[symbol.st_name]);
      }
    }
  }
  return std::nullopt;
}

std::string find_function_name(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (::dladdr1(address, &info, reinterpret_cast<void**>(&map),
                RTLD_DL_LINKMAP) != 0) {
    if (info.dli_saddr == address && info.dli_sname != nullptr) {
      return without_parameters(demangle(info.dli_sname));
    }
    // The main program has an empty name in the link map.
    const bool is_program = map == nullptr || map->l_name[0] == '\0';
    const std::uint64_t base = map != nullptr ? map->l_addr : 0;
    const auto symbol =
        symbol_in_file(is_program ? "/proc/self/exe" : info.dli_fname,
                       reinterpret_cast<std::uint64_t>(address) - base);
    if (symbol) return without_parameters(demangle(symbol->c_str()));
  }
  char text[40];
  std::snprintf(text, sizeof text, "<function at %p>", address);
  return text;
}

}  // namespace

std::string type_name(const std::type_info& type) {
  return demangle(type.name());
}

std::string function_name(const void* address) {
  static std::mutex mutex;
  static std::map<const void*, std::string> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(address);
  if (found != known.end()) return found->second;
  return known.emplace(address, find_function_name(address)).first->second;
}

std::string function_object_name(const std::type_info& type) {
  std::string name = type_name(type);
  erase_all(name, "(anonymous namespace)::");
  // g++ says `main::{lambda()#1}`, clang `main::$_0` or `main::'lambda'()`.
  for (const std::string_view lambda : {"{lambda(", "$_", "'lambda"}) {
    const auto at = name.rfind(lambda);
    if (at != std::string::npos) return name.substr(0, at) + "<lambda>";
  }
  return name;
}

}  // namespace rondo
