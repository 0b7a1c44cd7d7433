// What the C++ of a newer compiler takes from its own libstdc++ or glibc and Rocky Linux 8 does not have. `link` puts this into a package's
// binary, as gcc-toolset does on Rocky itself with its libstdc++_nonshared.a. A symbol that is missing here fails the link or
// check-symbols by its name.
#include <new>
#include <sstream>

// GLIBCXX_3.4.29
namespace std {
void __throw_bad_array_new_length() { throw bad_array_new_length(); }
}

// GLIBCXX_3.4.26
template std::__cxx11::basic_ostringstream<char>::basic_ostringstream();

// GLIBC_2.32, hidden so that no library sees it: false only means that counters are always counted atomically.
extern "C" {
__attribute__((visibility("hidden"))) extern char __libc_single_threaded;
char __libc_single_threaded = 0;
}
