# cmake -DROOT=folder -DLIST=file -DTEMPLATE=file -DOUT=file -P SourcesDigest.cmake
#
# Writes TEMPLATE as OUT with @digest@ as 12 hex digits: a hash over the names (from ROOT) and the
# contents of the files that LIST names, one a line. Neither where ROOT lies nor the order of the
# lines changes it.
cmake_minimum_required(VERSION 3.25)

file(STRINGS ${LIST} names)
list(SORT names COMPARE STRING)
set(sum "")
foreach(name IN LISTS names)
  file(SHA256 ${ROOT}/${name} content)
  string(APPEND sum "${content} ${name}\n")
endforeach()
string(SHA256 digest "${sum}")
string(SUBSTRING ${digest} 0 12 digest)

# Written even where the digest is the same: the build compares times.
file(READ ${TEMPLATE} text)
string(CONFIGURE "${text}" text @ONLY)
file(WRITE ${OUT} "${text}")
