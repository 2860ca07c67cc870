/* The status page, whole: it asks /status by itself, and nothing else. Thread: any. */
#ifndef OPS_PAGE_H
#define OPS_PAGE_H

extern const char page_html[];

#endif
