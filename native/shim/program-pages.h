/* Memory of the program itself. */
#pragma once

void program_give_back(void);
