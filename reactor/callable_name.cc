// SPDX-License-Identifier: MIT
#include "reactor/callable_name.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <compare>
#include <cstdint>
#include <cstdio>
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

/// The end of what is bracketed from `open` on, which is a bracket.
std::size_t skip_brackets(const std::string& text, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '(' || c == '{' || c == '<') ++depth;
    if ((c == ')' || c == '}' || c == '>') && --depth == 0) return at + 1;
  }
  return text.size();
}

/// A lambda is `{lambda(int)#1}` to g++, `$_1` to clang where that has no name
/// for it, and `<lambda>` to Python.
void name_lambdas(std::string& name) {
  for (auto at = name.find("{lambda("); at != std::string::npos;
       at = name.find("{lambda(", at)) {
    name.replace(at, skip_brackets(name, at) - at, "<lambda>");
  }
  for (auto at = name.find("$_"); at != std::string::npos;
       at = name.find("$_", at)) {
    const auto end = name.find_first_not_of("0123456789", at + 2);
    name.replace(at, std::min(end, name.size()) - at, "<lambda>");
  }
  // What a lambda without captures turns into when it becomes a pointer.
  for (const std::string_view invoker : {"::_FUN", "::__invoke"}) {
    if (name.ends_with(invoker)) name.resize(name.size() - invoker.size());
  }
}

/// `ns::f(int, char) const` -> `ns::f`: cuts at the parenthesis that opens
/// the last parameter list.
std::string without_parameters(std::string name) {
  erase_all(name, "(anonymous namespace)::");
  erase_all(name, "[abi:cxx11]");
  name_lambdas(name);
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
    if (name[at] == ' ' && angle == 0) {
      name.erase(0, at + 1);
      break;
    }
  }
  name_lambdas(name);  // an invoker, now at the end
  return name;
}

/// Reads arrays out of a file that may claim anything of itself.
class ElfFile {
 public:
  explicit ElfFile(const char* path) : file_(path, std::ios::binary) {
    file_.seekg(0, std::ios::end);
    const auto end = file_.tellg();
    size_ = end < 0 ? 0 : static_cast<std::uint64_t>(end);
  }

  /// The `bytes` at `offset` as an array; empty if they are not there.
  template <class T>
  std::vector<T> read(std::uint64_t offset, std::uint64_t bytes) {
    if (offset > size_ || bytes > size_ - offset) return {};
    std::vector<T> array(bytes / sizeof(T));
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(reinterpret_cast<char*>(array.data()),
               static_cast<std::streamsize>(array.size() * sizeof(T)));
    if (!file_.good()) array.clear();
    return array;
  }

 private:
  std::ifstream file_;
  std::uint64_t size_ = 0;
};

/// The symbol in the ELF file `path` whose value is `value`.
std::optional<std::string> symbol_in_file(const char* path,
                                          std::uint64_t value) {
  ElfFile file(path);
  const auto header = file.read<ElfW(Ehdr)>(0, sizeof(ElfW(Ehdr)));
  if (header.empty()) return std::nullopt;
  const auto sections = file.read<ElfW(Shdr)>(
      header[0].e_shoff, header[0].e_shnum * sizeof(ElfW(Shdr)));
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) {
      continue;
    }
    const auto& strings = sections[section.sh_link];
    const auto symbols =
        file.read<ElfW(Sym)>(section.sh_offset, section.sh_size);
    auto names = file.read<char>(strings.sh_offset, strings.sh_size);
    names.push_back('\0');  // should the last one have no end
    for (const auto& symbol : symbols) {
      if (symbol.st_value == value &&
          ELF64_ST_TYPE(symbol.st_info) == STT_FUNC &&
          symbol.st_name < names.size()) {
        return std::string(&names[symbol.st_name]);
      }
    }
  }
  return std::nullopt;
}

/// A place in a file: the same function wherever the file is loaded.
struct CodePlace {
  std::string file;
  std::uint64_t offset = 0;
  auto operator<=>(const CodePlace&) const = default;
};

std::string unnamed(const void* address) {
  char text[40];
  std::snprintf(text, sizeof text, "<function at %p>", address);
  return text;
}

}  // namespace

std::string type_name(const std::type_info& type) {
  return demangle(type.name());
}

std::string function_name(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (::dladdr1(address, &info, reinterpret_cast<void**>(&map),
                RTLD_DL_LINKMAP) == 0) {
    return unnamed(address);
  }
  if (info.dli_saddr == address && info.dli_sname != nullptr) {
    return without_parameters(demangle(info.dli_sname));
  }
  // The main program has an empty name in the link map.
  const bool is_program = map == nullptr || map->l_name[0] == '\0';
  const CodePlace place{
      is_program ? "/proc/self/exe" : info.dli_fname,
      reinterpret_cast<std::uint64_t>(address) -
          (map != nullptr ? static_cast<std::uint64_t>(map->l_addr) : 0)};

  static std::mutex mutex;
  static std::map<CodePlace, std::string> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(place);
  if (found != known.end()) return found->second;
  const auto symbol = symbol_in_file(place.file.c_str(), place.offset);
  if (!symbol) return unnamed(address);
  return known.emplace(place, without_parameters(demangle(symbol->c_str())))
      .first->second;
}

std::string function_object_name(const std::type_info& type) {
  std::string name = type_name(type);
  erase_all(name, "(anonymous namespace)::");
  name_lambdas(name);
  return name;
}

}  // namespace rondo
